"""Projects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import StaleVersion
from eudai_core.model import Page, Project, ProjectCounts
from eudai_sql import keyset
from eudai_sql.owners import released_blobs
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import conversations, document_versions, files, instructions, projects, urls, users
from eudai_sql.texts import erase_texts
from eudai_sql.transaction import Row

__all__ = ["SqlProjects"]


def _count(table: sa.Table) -> sa.ScalarSelect[int]:
    return (
        sa.select(sa.func.count())
        .select_from(table)
        .where(table.c.project_id == projects.c.id)
        .correlate(projects)
        .scalar_subquery()
    )


_select: Final = sa.select(
    projects.c.id,
    projects.c.owner_id,
    projects.c.name,
    projects.c.description,
    projects.c.created_at,
    projects.c.updated_at,
    projects.c.settings,
    _count(files),
    _count(urls),
    _count(instructions),
    projects.c.conversation_count,
    projects.c.version,
)
_this: Final = projects.c.id == sa.bindparam("project_id")
_get: Final = _select.where(_this)
_first_page: Final = (
    _select.where(projects.c.owner_id == sa.bindparam("owner"))
    .order_by(projects.c.created_at.desc(), projects.c.id.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_next_page: Final = _first_page.where(keyset.after(projects.c.created_at, projects.c.id))
_ids: Final = (
    sa.select(projects.c.id)
    .where(projects.c.owner_id == sa.bindparam("owner"))
    .order_by(projects.c.created_at.desc(), projects.c.id.desc())
)
# Held against the deletion of the owner, which has to know all projects; see SqlUsers.delete.
_owner: Final = sa.select(users.c.id).where(users.c.id == sa.bindparam("owner")).with_for_update(read=True)
_add: Final = projects.insert()
_update: Final = (
    projects.update()
    .where(
        _this,
        sa.or_(
            sa.bindparam("expected", type_=sa.Integer()).is_(None),
            projects.c.version == sa.bindparam("expected", type_=sa.Integer()),
        ),
    )
    .values(
        name=sa.bindparam("new_name"),
        description=sa.bindparam("new_description"),
        settings=sa.bindparam("new_settings"),
        updated_at=sa.bindparam("at"),
        version=projects.c.version + 1,
    )
)
_lock: Final = sa.select(projects.c.id).where(_this).with_for_update()
_delete: Final = projects.delete().where(_this)
_delete_files: Final = files.delete().where(files.c.project_id == sa.bindparam("project_id")).returning(files.c.id)
_delete_urls: Final = urls.delete().where(urls.c.project_id == sa.bindparam("project_id")).returning(urls.c.id)
_delete_conversations: Final = (
    conversations.delete().where(conversations.c.project_id == sa.bindparam("project_id")).returning(conversations.c.id)
)
_blobs: Final = released_blobs(document_versions.c.project_id, sa.bindparam("project_id", type_=sa.Uuid()))


class SqlProjects(Repository):
    """See eudai_core.contracts.Projects."""

    __slots__ = ()

    async def add(self, project: Project) -> None:
        """Add a project."""
        if await self._tx.row(_owner, {"owner": project.owner_id}) is None:
            raise missing("user", project.owner_id)
        values = {
            "id": project.id,
            "owner_id": project.owner_id,
            "name": project.name,
            "description": project.description,
            "settings": project.settings,
            "created_at": project.created_at,
            "updated_at": project.updated_at,
            "version": project.version,
        }
        await self._tx.run(_add, values)

    async def get(self, project_id: UUID) -> Project:
        """Return a project."""
        row = await self._tx.row(_get, {"project_id": project_id})
        if row is None:
            raise missing("project", project_id)
        return _project(row)

    async def list(self, owner_id: UUID, *, cursor: str | None, limit: int) -> Page[Project]:
        """List the owner's projects."""
        values: dict[str, Any] = {"owner": owner_id, "limit": limit + 1}
        statement = _first_page
        if cursor is not None:
            statement = _next_page
            values |= keyset.position(cursor)
        found = [_project(row) for row in await self._tx.rows(statement, values)]
        return keyset.page(found, limit, lambda project: (project.created_at, project.id))

    async def ids(self, owner_id: UUID) -> Sequence[UUID]:
        """Return the ids of all of the owner's projects, newest first."""
        return [row[0] for row in await self._tx.rows(_ids, {"owner": owner_id})]

    async def update(self, project: Project, *, expected_version: int | None) -> Project:
        """Store name, description and settings under the next version, and return the result."""
        values = {
            "project_id": project.id,
            "expected": expected_version,
            "new_name": project.name,
            "new_description": project.description,
            "new_settings": project.settings,
            "at": project.updated_at,
        }
        touched = await self._tx.run(_update, values)
        stored = await self.get(project.id)
        if not touched:
            raise StaleVersion(f"The project was changed meanwhile: it is at version {stored.version} now.")
        return stored

    async def delete(self, project_id: UUID) -> Sequence[str]:
        """Delete a project with everything in it; return the blob keys that nothing names any more."""
        key = {"project_id": project_id}
        # Locked first: whoever adds something to the project now waits, and then finds it gone.
        if await self._tx.row(_lock, key) is None:
            raise missing("project", project_id)
        blobs = [row[0] for row in await self._tx.rows(_blobs, key, slow=True)]
        owners = [row[0] for row in await self._tx.rows(_delete_files, key, slow=True)]
        owners += [row[0] for row in await self._tx.rows(_delete_urls, key, slow=True)]
        owners += [row[0] for row in await self._tx.rows(_delete_conversations, key, slow=True)]
        await self._tx.run(_delete, key, slow=True)
        await erase_texts(self._tx, owners)
        return blobs


def _project(row: Row) -> Project:
    *fields, file_count, url_count, instruction_count, conversation_count, version = list(row)
    counts = ProjectCounts(file_count, url_count, instruction_count, conversation_count)
    return Project(*[*fields, counts, version])
