"""Files, versions of files and pages, instructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from eudai_core.errors import Conflict, NotFound, StaleVersion
from eudai_core.model import DocumentStatus, DocumentVersion, FileRecord, Instruction, InstructionVersion, Page
from eudai_core.testing._memory.owned import (
    drop_documents,
    drop_instructions,
    hash_of,
    own_text,
    owner_of,
    set_current,
)
from eudai_core.testing._memory.paging import number_page, page
from eudai_core.testing._memory.state import State
from eudai_core.testing._memory.transaction import Repository
from eudai_core.testing._memory.values import insert, kept, required

__all__ = ["MemoryDocuments"]


class MemoryDocuments(Repository):
    """See eudai_core.contracts.Documents."""

    __slots__ = ()

    async def add_file(self, file: FileRecord) -> None:
        """Add a file with its first version."""
        state = await self._tx.writing()
        required(state.projects, file.project_id, "project")
        insert(state.files, file.id, file, "file")
        insert(state.versions, file.current.id, file.current, "document version")

    async def get_file(self, file_id: UUID) -> FileRecord:
        """Return a file with its current version."""
        return required((await self._tx.reading()).files, file_id, "file")

    async def many_files(self, file_ids: Sequence[UUID]) -> Mapping[UUID, FileRecord]:
        """Return several files by id; those that are not there are missing."""
        files = (await self._tx.reading()).files
        return {key: files[key] for key in file_ids if key in files}

    async def find_file(self, project_id: UUID, filename: str, sha256: str) -> FileRecord | None:
        """Return the project's file of this name whose current version has these bytes, or None."""
        name = kept(filename)
        files = await self.all_files(project_id)
        return next((file for file in files if file.filename == name and file.current.sha256 == sha256), None)

    async def list_files(self, project_id: UUID, *, cursor: str | None, limit: int) -> Page[FileRecord]:
        """List a project's files."""
        files = await self.all_files(project_id)
        return page(files, lambda file: (file.uploaded_at, file.id), cursor=cursor, limit=limit)

    async def all_files(self, project_id: UUID) -> Sequence[FileRecord]:
        """Return every file of a project, oldest first."""
        files = (await self._tx.reading()).files.values()
        mine = (file for file in files if file.project_id == project_id)
        return sorted(mine, key=lambda file: (file.uploaded_at, file.id))

    async def delete_file(self, file_id: UUID) -> Sequence[str]:
        """Delete a file, its versions and texts nobody else names; return blob keys that nothing names any more."""
        state = await self._tx.writing()
        required(state.files, file_id, "file")
        return drop_documents(state, [file_id])

    async def update_file(self, file: FileRecord) -> FileRecord:
        """Store filename and pinned, and return the result."""
        files = (await self._tx.writing()).files
        stored = required(files, file.id, "file")
        files[file.id] = kept(replace(stored, filename=file.filename, pinned=file.pinned))
        return files[file.id]

    async def add_version(self, version: DocumentVersion) -> None:
        """Add a further version of a file or a page, and make it the current one."""
        state = await self._tx.writing()
        owner = owner_of(state, version)
        if owner is None or owner.project_id != version.project_id:
            raise NotFound(f"There is no {version.owner_type} {version.owner_id}.")
        current = 0 if owner.current is None else owner.current.number
        if version.number != current + 1:
            raise Conflict(f"There is version {current} meanwhile; look at it, then add yours after it.")
        insert(state.versions, version.id, version, "document version")
        set_current(state, state.versions[version.id])

    async def versions(self, owner_id: UUID, *, cursor: str | None, limit: int) -> Page[DocumentVersion]:
        """List the versions of a file or a page, newest first."""
        rows = (await self._tx.reading()).versions.values()
        own = (row for row in rows if row.owner_id == owner_id)
        return number_page(own, lambda row: row.number, cursor=cursor, limit=limit)

    async def get_version(self, version_id: UUID) -> DocumentVersion:
        """Return one version of a document."""
        return required((await self._tx.reading()).versions, version_id, "document version")

    async def finish_version(
        self,
        version_id: UUID,
        *,
        status: DocumentStatus,
        error: str | None = None,
        text: str | None = None,
        tokens: int = 0,
    ) -> DocumentVersion:
        """Store the outcome of reading a version, with its text when there is one, and return the result."""
        state = await self._tx.writing()
        version = required(state.versions, version_id, "document version")
        sha256 = None if text is None else hash_of(kept(text))
        result = replace(
            version, status=status, error=error, text_sha256=sha256, characters=len(text or ""), tokens=tokens
        )
        state.versions[version_id] = result = kept(result)
        owner = owner_of(state, version)
        if owner is not None and owner.current is not None and owner.current.id == version_id:
            set_current(state, result)
        if text is not None and sha256 is not None:
            own_text(state, sha256, text, version.owner_id)
        return result

    async def text_of(self, version_id: UUID) -> str:
        """Return the extracted text of a version."""
        state = await self._tx.reading()
        version = required(state.versions, version_id, "document version")
        return required(state.texts, version.text_sha256 or "", "text of document version")

    async def add_instruction(self, instruction: Instruction) -> None:
        """Add an instruction."""
        state = await self._tx.writing()
        required(state.projects, instruction.project_id, "project")
        insert(state.instructions, instruction.id, instruction, "instruction")
        _note(state, instruction, instruction.created_at)

    async def get_instruction(self, instruction_id: UUID) -> Instruction:
        """Return an instruction."""
        return required((await self._tx.reading()).instructions, instruction_id, "instruction")

    async def list_instructions(self, project_id: UUID) -> Sequence[Instruction]:
        """Return all instructions of a project by position, then oldest first."""
        rows = (await self._tx.reading()).instructions.values()
        mine = (row for row in rows if row.project_id == project_id)
        return sorted(mine, key=lambda row: (row.position, row.created_at, row.id))

    async def update_instruction(
        self, instruction: Instruction, *, expected_version: int | None, at: datetime
    ) -> Instruction:
        """Store text, position and enabled under the next version, and return the result."""
        state = await self._tx.writing()
        stored = required(state.instructions, instruction.id, "instruction")
        if expected_version is not None and expected_version != stored.version:
            raise StaleVersion(f"The instruction was changed meanwhile: it is at version {stored.version} now.")
        changed = replace(
            stored,
            instruction_text=instruction.instruction_text,
            position=instruction.position,
            enabled=instruction.enabled,
            version=stored.version + 1,
        )
        state.instructions[instruction.id] = kept(changed)
        if changed.instruction_text != stored.instruction_text:
            _note(state, changed, at)
        return state.instructions[instruction.id]

    async def instruction_versions(
        self, instruction_id: UUID, *, cursor: str | None, limit: int
    ) -> Page[InstructionVersion]:
        """List what an instruction said, its present text included, newest first."""
        rows = (await self._tx.reading()).instruction_versions
        own = (row for key, row in rows.items() if key[0] == instruction_id)
        return number_page(own, lambda row: row.number, cursor=cursor, limit=limit)

    async def delete_instruction(self, instruction_id: UUID) -> None:
        """Delete an instruction with all its versions."""
        state = await self._tx.writing()
        required(state.instructions, instruction_id, "instruction")
        drop_instructions(state, [instruction_id])


def _note(state: State, instruction: Instruction, at: datetime) -> None:
    """Keep what an instruction says from a time on."""
    version = InstructionVersion(instruction.version, instruction.instruction_text, at)
    state.instruction_versions[instruction.id, instruction.version] = kept(version)
