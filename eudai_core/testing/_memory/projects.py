"""Projects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from eudai_core.errors import StaleVersion
from eudai_core.model import FileRecord, Page, Project, ProjectCounts, Url
from eudai_core.testing._memory.owned import drop_conversations, drop_documents, drop_instructions
from eudai_core.testing._memory.paging import page
from eudai_core.testing._memory.state import State
from eudai_core.testing._memory.transaction import Repository
from eudai_core.testing._memory.values import insert, kept, required

__all__ = ["MemoryProjects"]


class MemoryProjects(Repository):
    """See eudai_core.contracts.Projects."""

    __slots__ = ()

    async def add(self, project: Project) -> None:
        """Add a project."""
        state = await self._tx.writing()
        required(state.users, project.owner_id, "user")
        insert(state.projects, project.id, project, "project")

    async def get(self, project_id: UUID) -> Project:
        """Return a project."""
        state = await self._tx.reading()
        return _counted(state, required(state.projects, project_id, "project"))

    async def list(self, owner_id: UUID, *, cursor: str | None, limit: int) -> Page[Project]:
        """List the owner's projects."""
        state = await self._tx.reading()
        mine = (row for row in state.projects.values() if row.owner_id == owner_id)
        found = page(mine, lambda row: (row.created_at, row.id), cursor=cursor, limit=limit)
        return Page([_counted(state, row) for row in found.items], found.next)

    async def ids(self, owner_id: UUID) -> Sequence[UUID]:
        """Return the ids of all of the owner's projects."""
        return [key for key, row in (await self._tx.reading()).projects.items() if row.owner_id == owner_id]

    async def update(self, project: Project, *, expected_version: int | None) -> Project:
        """Store name, description and settings under the next version, and return the result."""
        state = await self._tx.writing()
        stored = required(state.projects, project.id, "project")
        if expected_version is not None and expected_version != stored.version:
            raise StaleVersion(f"The project was changed meanwhile: it is at version {stored.version} now.")
        changed = replace(
            stored,
            name=project.name,
            description=project.description,
            settings=project.settings,
            updated_at=project.updated_at,
            version=stored.version + 1,
        )
        state.projects[project.id] = kept(changed)
        return _counted(state, state.projects[project.id])

    async def delete(self, project_id: UUID) -> Sequence[str]:
        """Delete a project with everything in it; return the blob keys that nothing names any more."""
        state = await self._tx.writing()
        required(state.projects, project_id, "project")
        drop_conversations(state, [key for key, row in state.conversations.items() if row.project_id == project_id])
        drop_instructions(state, [key for key, row in state.instructions.items() if row.project_id == project_id])
        del state.projects[project_id]
        documents: list[FileRecord | Url] = [*state.files.values(), *state.urls.values()]
        return drop_documents(state, [row.id for row in documents if row.project_id == project_id])


def _counted(state: State, project: Project) -> Project:
    counts = ProjectCounts(
        files=sum(row.project_id == project.id for row in state.files.values()),
        urls=sum(row.project_id == project.id for row in state.urls.values()),
        instructions=sum(row.project_id == project.id for row in state.instructions.values()),
        conversations=sum(row.project_id == project.id for row in state.conversations.values()),
    )
    return kept(replace(project, counts=counts))
