"""Projects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from eudai_core.model import Page, Project

__all__ = ["Projects"]


class Projects(Protocol):
    """Projects. ``list`` and ``get`` fill in the counts."""

    async def add(self, project: Project) -> None:
        """Add a project."""
        ...

    async def get(self, project_id: UUID) -> Project:
        """Return a project."""
        ...

    async def list(self, owner_id: UUID, *, cursor: str | None, limit: int) -> Page[Project]:
        """List the owner's projects. Raises InvalidInput for a cursor that is not one of ours."""
        ...

    async def ids(self, owner_id: UUID) -> Sequence[UUID]:
        """Return the ids of all of the owner's projects."""
        ...

    async def update(self, project: Project, *, expected_version: int | None) -> Project:
        """Store name, description and settings under the next version, and return the result.

        Raises StaleVersion when ``expected_version`` is given and is not the stored one.
        """
        ...

    async def delete(self, project_id: UUID) -> Sequence[str]:
        """Delete a project with everything in it; return the blob keys that nothing names any more."""
        ...
