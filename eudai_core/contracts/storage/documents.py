"""Files, instructions, document versions and their texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from eudai_core.model import DocumentStatus, DocumentVersion, FileRecord, Instruction, Page

__all__ = ["Documents"]


class Documents(Protocol):
    """Files, instructions, document versions, and the texts that they and context records name by hash."""

    async def add_file(self, file: FileRecord) -> None:
        """Add a file with its first version."""
        ...

    async def get_file(self, file_id: UUID) -> FileRecord:
        """Return a file with its current version."""
        ...

    async def find_file(self, project_id: UUID, filename: str, sha256: str) -> FileRecord | None:
        """Return the project's file of this name whose current version has these bytes, or None."""
        ...

    async def list_files(self, project_id: UUID, *, cursor: str | None, limit: int) -> Page[FileRecord]:
        """List a project's files."""
        ...

    async def all_files(self, project_id: UUID) -> Sequence[FileRecord]:
        """Return every file of a project, oldest first."""
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

    async def update_instruction(self, instruction: Instruction) -> Instruction:
        """Store text, position and enabled under the next version, and return the result."""
        ...

    async def delete_instruction(self, instruction_id: UUID) -> None:
        """Delete an instruction."""
        ...
