"""Versions of files and pages, and the texts read out of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import Conflict, NotFound
from eudai_core.model import DocumentStatus, DocumentVersion, Page
from eudai_sql import keyset
from eudai_sql.owners import FILE, OWNERS, URL, hold, without_owner
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import document_versions as table
from eudai_sql.tables import files, texts, urls
from eudai_sql.texts import hash_text, store_texts

__all__ = ["VERSION_COLUMNS", "VersionRows", "version_of", "version_values"]

VERSION_COLUMNS: Final = (
    table.c.id,
    table.c.owner_type,
    table.c.owner_id,
    table.c.project_id,
    table.c.number,
    table.c.sha256,
    table.c.blob_key,
    table.c.media_type,
    table.c.size,
    table.c.created_at,
    table.c.status,
    table.c.error,
    table.c.text_sha256,
    table.c.characters,
    table.c.tokens,
)
"""The columns in the order of the fields of DocumentVersion."""

_STATUS: Final = [column.name for column in VERSION_COLUMNS].index("status")

_add: Final = table.insert()
_this: Final = table.c.id == sa.bindparam("version_id")
_get: Final = sa.select(*VERSION_COLUMNS).where(_this)
# An owner has one type: in this order the index gives its versions as they are wanted.
_first_page: Final = (
    sa.select(*VERSION_COLUMNS)
    .where(table.c.owner_id == sa.bindparam("owner"))
    .order_by(table.c.owner_type.desc(), table.c.number.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_next_page: Final = _first_page.where(keyset.after_number(table.c.number))
_finish: Final = (
    table.update()
    .where(_this)
    .values(
        status=sa.bindparam("new_status"),
        error=sa.bindparam("new_error"),
        text_sha256=sa.bindparam("new_text"),
        characters=sa.bindparam("new_characters"),
        tokens=sa.bindparam("new_tokens"),
    )
    .returning(*VERSION_COLUMNS)
)
_text: Final = sa.select(texts.c.bytes).join_from(table, texts, table.c.text_sha256 == texts.c.sha256).where(_this)


def _at(owners: sa.Table, number: sa.ColumnElement[Any]) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        owners.c.id == sa.bindparam("owner"),
        owners.c.project_id == sa.bindparam("project"),
        sa.func.coalesce(owners.c.current_version, 0) == number,
    )


_before: Final = sa.bindparam("before", type_=sa.Integer())
_number: Final = sa.bindparam("new_number", type_=sa.Integer())
_ADVANCE: Final[Mapping[str, sa.Update]] = {
    FILE: files.update().where(*_at(files, _before)).values(current_version=_number, path=sa.bindparam("new_path")),
    URL: urls.update().where(*_at(urls, _before)).values(current_version=_number),
}
_CURRENT: Final[Mapping[str, sa.Select[Any]]] = {
    kind: sa.select(sa.func.coalesce(owners.c.current_version, 0)).where(
        owners.c.id == sa.bindparam("owner"), owners.c.project_id == sa.bindparam("project")
    )
    for kind, owners in OWNERS.items()
}


def version_of(row: tuple[Any, ...]) -> DocumentVersion:
    """Return the value of a row of :data:`VERSION_COLUMNS`."""
    values = list(row)
    values[_STATUS] = DocumentStatus(values[_STATUS])
    return DocumentVersion(*values)


def version_values(version: DocumentVersion) -> dict[str, Any]:
    """Return the row of a value."""
    return {column.name: getattr(version, column.name) for column in VERSION_COLUMNS} | {"status": version.status.value}


class VersionRows(Repository):
    """The part of eudai_core.contracts.Documents about versions."""

    __slots__ = ()

    async def add_version(self, version: DocumentVersion) -> None:
        """Add a further version of a file or a page, and make it the current one."""
        await hold(self._tx, version.owner_type, version.owner_id)
        owner = {"owner": version.owner_id, "project": version.project_id}
        values: dict[str, Any] = owner | {"before": version.number - 1, "new_number": version.number}
        if version.owner_type == FILE:
            values["new_path"] = version.blob_key
        advance = _ADVANCE.get(version.owner_type)
        if advance is None:
            raise without_owner(version.owner_type, version.owner_id)
        if not await self._tx.run(advance, values):
            current = await self._tx.value(_CURRENT[version.owner_type], owner)
            if current is None:
                raise without_owner(version.owner_type, version.owner_id)
            raise Conflict(f"There is version {current} meanwhile; look at it, then add yours after it.")
        await self._tx.run(_add, version_values(version))

    async def versions(self, owner_id: UUID, *, cursor: str | None, limit: int) -> Page[DocumentVersion]:
        """List the versions of a file or a page, newest first."""
        values: dict[str, Any] = {"owner": owner_id, "limit": limit + 1}
        statement = _first_page
        if cursor is not None:
            statement = _next_page
            values |= keyset.number_position(cursor)
        found = [version_of(tuple(row)) for row in await self._tx.rows(statement, values)]
        return keyset.number_page(found, limit, lambda version: version.number)

    async def get_version(self, version_id: UUID) -> DocumentVersion:
        """Return one version of a document."""
        row = await self._tx.row(_get, {"version_id": version_id})
        if row is None:
            raise missing("document version", version_id)
        return version_of(tuple(row))

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
        sha256 = None if text is None else await hash_text(text)
        values = {
            "version_id": version_id,
            "new_status": status.value,
            "new_error": error,
            "new_text": sha256,
            "new_characters": len(text or ""),
            "new_tokens": tokens,
        }
        # Before the text: this locks the version, so that its owner cannot be deleted without the text.
        row = await self._tx.row(_finish, values)
        if row is None:
            raise missing("document version", version_id)
        version = version_of(tuple(row))
        if text is not None and sha256 is not None:
            await store_texts(self._tx, {sha256: text}, [(sha256, version.owner_id)])
        return version

    async def text_of(self, version_id: UUID) -> str:
        """Return the extracted text of a version."""
        text: str | None = await self._tx.value(_text, {"version_id": version_id})
        if text is None:
            raise NotFound(f"There is no text of document version {version_id}; it may not have been read yet.")
        return text
