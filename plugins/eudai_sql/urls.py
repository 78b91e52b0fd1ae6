"""Web pages of projects, each with what was fetched last."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import Conflict
from eudai_core.model import DocumentStatus, Page, Url
from eudai_sql import keyset
from eudai_sql.owners import URL, disown, hold, without_owner
from eudai_sql.repository import Repository
from eudai_sql.tables import document_versions as versions
from eudai_sql.tables import urls as table
from eudai_sql.transaction import Row
from eudai_sql.types import clean
from eudai_sql.versions import VERSION_COLUMNS, version_of

__all__ = ["SqlUrls"]

_columns: Final = (
    table.c.id,
    table.c.project_id,
    table.c.url,
    table.c.description,
    table.c.added_by,
    table.c.created_at,
    table.c.title,
    table.c.status,
    table.c.error,
    table.c.fetched_at,
    table.c.pinned,
)
_is_current: Final = sa.and_(
    versions.c.owner_id == table.c.id,
    versions.c.owner_type == URL,
    versions.c.number == table.c.current_version,
)
_select: Final = sa.select(*_columns, *VERSION_COLUMNS).outerjoin_from(table, versions, _is_current)
_this: Final = table.c.id == sa.bindparam("url_id")
_get: Final = _select.where(_this)
_many: Final = _select.where(table.c.id.in_(sa.bindparam("url_ids", expanding=True)))
_of_project: Final = _select.where(table.c.project_id == sa.bindparam("project"))
_all: Final = _of_project.order_by(table.c.created_at, table.c.id)
_first_page: Final = _of_project.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(
    sa.bindparam("limit", type_=sa.Integer())
)
_next_page: Final = _first_page.where(keyset.after(table.c.created_at, table.c.id))
_add: Final = table.insert()
_update: Final = (
    table.update()
    .where(_this)
    .values(
        url=sa.bindparam("new_url"),
        url_sha256=sa.bindparam("new_url_sha256"),
        description=sa.bindparam("new_description"),
        title=sa.bindparam("new_title"),
        status=sa.bindparam("new_status"),
        error=sa.bindparam("new_error"),
        fetched_at=sa.bindparam("new_fetched_at"),
        pinned=sa.bindparam("new_pinned"),
    )
)
_delete: Final = table.delete().where(_this)


class SqlUrls(Repository):
    """See eudai_core.contracts.Urls."""

    __slots__ = ()

    async def add(self, url: Url) -> None:
        """Add a page without versions."""
        fixed = {
            "id": url.id,
            "project_id": url.project_id,
            "added_by": url.added_by,
            "created_at": url.created_at,
            "current_version": None,
        }
        try:
            await self._tx.run(_add, fixed | _values(url))
        except Conflict as error:
            raise _taken() from error

    async def get(self, url_id: UUID) -> Url:
        """Return a page with its current version; to a transaction that may write it stays so until that ends."""
        await hold(self._tx, URL, url_id)
        return await self._get(url_id)

    async def many(self, url_ids: Sequence[UUID]) -> dict[UUID, Url]:
        """Return several pages by id, each with its current version."""
        if not url_ids:
            return {}
        found = [_url(row) for row in await self._tx.rows(_many, {"url_ids": list(url_ids)})]
        return {url.id: url for url in found}

    async def list(self, project_id: UUID, *, cursor: str | None, limit: int) -> Page[Url]:
        """List a project's pages, newest first."""
        values: dict[str, Any] = {"project": project_id, "limit": limit + 1}
        statement = _first_page
        if cursor is not None:
            statement = _next_page
            values |= keyset.position(cursor)
        found = [_url(row) for row in await self._tx.rows(statement, values)]
        return keyset.page(found, limit, lambda url: (url.created_at, url.id))

    async def all(self, project_id: UUID) -> Sequence[Url]:
        """Return every page of a project, oldest first."""
        return [_url(row) for row in await self._tx.rows(_all, {"project": project_id}, slow=True)]

    async def update(self, url: Url) -> Url:
        """Store address, description, pinned, title, status, error and time of the last fetch; return the result."""
        values = {f"new_{name}": value for name, value in _values(url).items()}
        try:
            await self._tx.run(_update, {"url_id": url.id} | values)
        except Conflict as error:
            raise _taken() from error
        return await self._get(url.id)

    async def delete(self, url_id: UUID) -> Sequence[str]:
        """Delete a page, its versions, its texts and passages; return blob keys that nothing names any more."""
        if not await self._tx.run(_delete, {"url_id": url_id}):
            raise without_owner(URL, url_id)
        return await disown(self._tx, url_id)

    async def _get(self, url_id: UUID) -> Url:
        row = await self._tx.row(_get, {"url_id": url_id})
        if row is None:
            raise without_owner(URL, url_id)
        return _url(row)


def _values(url: Url) -> dict[str, Any]:
    return {
        "url": url.url,
        "url_sha256": hashlib.sha256(clean(url.url).encode()).hexdigest(),
        "description": url.description,
        "title": url.title,
        "status": url.status.value,
        "error": url.error,
        "fetched_at": url.fetched_at,
        "pinned": url.pinned,
    }


def _url(row: Row) -> Url:
    values = tuple(row)
    url_id, project_id, url, description, added_by, created_at, title, status, error, fetched_at, pinned = values[:11]
    version = values[len(_columns) :]
    return Url(
        id=url_id,
        project_id=project_id,
        url=url,
        description=description,
        added_by=added_by,
        created_at=created_at,
        title=title,
        status=DocumentStatus(status),
        error=error,
        fetched_at=fetched_at,
        current=None if version[0] is None else version_of(version),
        pinned=pinned,
    )


def _taken() -> Conflict:
    return Conflict("The project has this address already; change the page that is there.")
