"""Files, instructions, document versions and their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from eudai_core.model import DocumentStatus, DocumentVersion, FileRecord, Instruction, InstructionVersion, Page, Url

__all__ = ["Documents", "Urls"]


class Documents(Protocol):
    """Files, instructions, document versions, and the texts that they and context records name by hash."""

    async def add_file(self, file: FileRecord) -> None:
        """Add a file with its first version."""
        ...

    async def get_file(self, file_id: UUID) -> FileRecord:
        """Return a file with its current version; to a unit of work that may write it stays so until that ends."""
        ...

    async def many_files(self, file_ids: Sequence[UUID]) -> Mapping[UUID, FileRecord]:
        """Return several files by id, each with its current version; those that are not there are missing."""
        ...

    async def find_file(self, project_id: UUID, filename: str, sha256: str) -> FileRecord | None:
        """Return the project's file of this name whose current version has these bytes, or None."""
        ...

    async def list_files(self, project_id: UUID, *, cursor: str | None, limit: int) -> Page[FileRecord]:
        """List a project's files, newest first."""
        ...

    async def all_files(self, project_id: UUID) -> Sequence[FileRecord]:
        """Return every file of a project, oldest first."""
        ...

    async def update_file(self, file: FileRecord) -> FileRecord:
        """Store filename and pinned, and return the result."""
        ...

    async def add_version(self, version: DocumentVersion) -> None:
        """Add a further version of a file or a page, and make it the current one; those before it are kept.

        Its ``number`` must be the next one, 1 for a page without any: raises Conflict when somebody else added that
        one meanwhile. The first version of a file comes with :meth:`add_file`.
        """
        ...

    async def versions(self, owner_id: UUID, *, cursor: str | None, limit: int) -> Page[DocumentVersion]:
        """List the versions of a file or a page, newest first."""
        ...

    async def delete_file(self, file_id: UUID) -> Sequence[str]:
        """Delete a file, its versions and texts nobody else names; return blob keys that nothing names any more."""
        ...

    async def get_version(self, version_id: UUID) -> DocumentVersion:
        """Return one version of a document."""
        ...

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
        ...

    async def text_of(self, version_id: UUID) -> str:
        """Return the extracted text of a version. Raises NotFound when there is none."""
        ...

    async def add_instruction(self, instruction: Instruction) -> None:
        """Add an instruction."""
        ...

    async def get_instruction(self, instruction_id: UUID) -> Instruction:
        """Return an instruction."""
        ...

    async def list_instructions(self, project_id: UUID) -> Sequence[Instruction]:
        """Return all instructions of a project by position, then oldest first."""
        ...

    async def update_instruction(
        self, instruction: Instruction, *, expected_version: int | None, at: datetime
    ) -> Instruction:
        """Store text, position and enabled under the next version, and return the result.

        A text that differs from the stored one is kept as what the instruction says from ``at`` on. Raises
        StaleVersion when ``expected_version`` is given and is not the stored one.
        """
        ...

    async def instruction_versions(
        self, instruction_id: UUID, *, cursor: str | None, limit: int
    ) -> Page[InstructionVersion]:
        """List what an instruction said, its present text included, newest first.

        Each text has the version and the time that it began with; versions that left the text as it was are not listed.
        """
        ...

    async def delete_instruction(self, instruction_id: UUID) -> None:
        """Delete an instruction with all its versions."""
        ...


class Urls(Protocol):
    """Web pages of projects. Their versions are document versions like those of files."""

    async def add(self, url: Url) -> None:
        """Add a page without versions. Raises Conflict when the project has this very address already."""
        ...

    async def many(self, url_ids: Sequence[UUID]) -> Mapping[UUID, Url]:
        """Return several pages by id, each with its current version; those that are not there are missing."""
        ...

    async def get(self, url_id: UUID) -> Url:
        """Return a page with its current version; to a unit of work that may write it stays so until that ends."""
        ...

    async def list(self, project_id: UUID, *, cursor: str | None, limit: int) -> Page[Url]:
        """List a project's pages, newest first."""
        ...

    async def all(self, project_id: UUID) -> Sequence[Url]:
        """Return every page of a project, oldest first."""
        ...

    async def update(self, url: Url) -> Url:
        """Store address, description, pinned, title, status, error and time of the last fetch; return the result.

        Raises Conflict when another page of the project has this very address.
        """
        ...

    async def delete(self, url_id: UUID) -> Sequence[str]:
        """Delete a page, its versions and texts nobody else names; return blob keys that nothing names any more."""
        ...
