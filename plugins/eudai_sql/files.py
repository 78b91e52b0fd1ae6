"""Uploaded files, each with its current version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.model import FileRecord, Page
from eudai_sql import keyset
from eudai_sql.owners import FILE, disown, hold
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import document_versions as versions
from eudai_sql.tables import files
from eudai_sql.transaction import Row
from eudai_sql.versions import VERSION_COLUMNS, version_of, version_values

__all__ = ["FileRows"]

_is_current: Final = sa.and_(
    versions.c.owner_id == files.c.id,
    versions.c.owner_type == FILE,
    versions.c.number == files.c.current_version,
)
_select: Final = sa.select(
    files.c.id,
    files.c.project_id,
    files.c.filename,
    files.c.uploaded_at,
    files.c.uploaded_by,
    files.c.pinned,
    *VERSION_COLUMNS,
).join_from(files, versions, _is_current)
_this: Final = files.c.id == sa.bindparam("file_id")
_of_project: Final = _select.where(files.c.project_id == sa.bindparam("project"))
_get: Final = _select.where(_this)
_many: Final = _select.where(files.c.id.in_(sa.bindparam("file_ids", expanding=True)))
_find: Final = _of_project.where(
    versions.c.project_id == sa.bindparam("project"),
    versions.c.sha256 == sa.bindparam("hash"),
    files.c.filename == sa.bindparam("name"),
).limit(1)
_all: Final = _of_project.order_by(files.c.uploaded_at, files.c.id)
_first_page: Final = _of_project.order_by(files.c.uploaded_at.desc(), files.c.id.desc()).limit(
    sa.bindparam("limit", type_=sa.Integer())
)
_next_page: Final = _first_page.where(keyset.after(files.c.uploaded_at, files.c.id))
_add: Final = files.insert()
_add_version: Final = versions.insert()
_update: Final = (
    files.update().where(_this).values(filename=sa.bindparam("new_name"), pinned=sa.bindparam("new_pinned"))
)
_delete: Final = files.delete().where(_this)


class FileRows(Repository):
    """The part of eudai_core.contracts.Documents about files."""

    __slots__ = ()

    async def add_file(self, file: FileRecord) -> None:
        """Add a file with its first version."""
        values = {
            "id": file.id,
            "project_id": file.project_id,
            "filename": file.filename,
            "path": file.current.blob_key,
            "uploaded_at": file.uploaded_at,
            "uploaded_by": file.uploaded_by,
            "current_version": file.current.number,
            "pinned": file.pinned,
        }
        await self._tx.run(_add, values)
        await self._tx.run(_add_version, version_values(file.current))

    async def get_file(self, file_id: UUID) -> FileRecord:
        """Return a file with its current version; to a transaction that may write it stays so until that ends."""
        await hold(self._tx, FILE, file_id)
        row = await self._tx.row(_get, {"file_id": file_id})
        if row is None:
            raise missing("file", file_id)
        return _file(row)

    async def many_files(self, file_ids: Sequence[UUID]) -> dict[UUID, FileRecord]:
        """Return several files by id, each with its current version."""
        if not file_ids:
            return {}
        found = [_file(row) for row in await self._tx.rows(_many, {"file_ids": list(file_ids)})]
        return {file.id: file for file in found}

    async def find_file(self, project_id: UUID, filename: str, sha256: str) -> FileRecord | None:
        """Return the project's file of this name whose current version has these bytes, or None."""
        row = await self._tx.row(_find, {"project": project_id, "name": filename, "hash": sha256})
        return None if row is None else _file(row)

    async def list_files(self, project_id: UUID, *, cursor: str | None, limit: int) -> Page[FileRecord]:
        """List a project's files."""
        values: dict[str, Any] = {"project": project_id, "limit": limit + 1}
        statement = _first_page
        if cursor is not None:
            statement = _next_page
            values |= keyset.position(cursor)
        found = [_file(row) for row in await self._tx.rows(statement, values)]
        return keyset.page(found, limit, lambda file: (file.uploaded_at, file.id))

    async def all_files(self, project_id: UUID) -> list[FileRecord]:
        """Return every file of a project, oldest first."""
        return [_file(row) for row in await self._tx.rows(_all, {"project": project_id}, slow=True)]

    async def update_file(self, file: FileRecord) -> FileRecord:
        """Store filename and pinned, and return the result."""
        values = {"file_id": file.id, "new_name": file.filename, "new_pinned": file.pinned}
        await self._tx.run(_update, values)
        row = await self._tx.row(_get, {"file_id": file.id})
        if row is None:
            raise missing("file", file.id)
        return _file(row)

    async def delete_file(self, file_id: UUID) -> list[str]:
        """Delete a file, its versions, its texts and passages; return blob keys that nothing names any more."""
        if not await self._tx.run(_delete, {"file_id": file_id}):
            raise missing("file", file_id)
        return await disown(self._tx, file_id)


def _file(row: Row) -> FileRecord:
    file_id, project_id, filename, uploaded_at, uploaded_by, pinned, *version = row
    current = version_of(tuple(version))
    return FileRecord(file_id, project_id, filename, uploaded_at, uploaded_by, current, pinned)
