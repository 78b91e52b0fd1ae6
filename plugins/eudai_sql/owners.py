"""What owns versions of documents, files and pages: held while it is changed, and taken away with all that it owns.

Whoever changes both holds the project before the file or page in it, as whoever deletes the project does: two that
wait for each other would both fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import NotFound
from eudai_sql.index_rows import forget
from eudai_sql.repository import missing
from eudai_sql.tables import document_versions as versions
from eudai_sql.tables import files, projects, urls
from eudai_sql.texts import erase_texts
from eudai_sql.transaction import Transaction

__all__ = ["FILE", "OWNERS", "URL", "disown", "hold", "released_blobs", "without_owner"]

FILE: Final = "file"
URL: Final = "url"
OWNERS: Final[Mapping[str, sa.Table]] = {FILE: files, URL: urls}
"""The tables of owners, by ``owner_type``."""

_owner: Final = sa.bindparam("owner", type_=sa.Uuid())


def _hold_project(table: sa.Table) -> sa.Select[Any]:
    return (
        sa.select(projects.c.id)
        .join_from(projects, table, table.c.project_id == projects.c.id)
        .where(table.c.id == _owner)
        .with_for_update(read=True, key_share=True, of=projects)
    )


def _hold_row(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table.c.id).where(table.c.id == _owner).with_for_update(key_share=True)


_HOLD: Final = {kind: (_hold_project(table), _hold_row(table)) for kind, table in OWNERS.items()}


def released_blobs(column: sa.ColumnElement[Any], value: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Select the blob keys that only versions with ``column = value`` name."""
    other = versions.alias()
    same_column = other.c[column.key] if column.key is not None else column
    elsewhere = sa.exists().where(other.c.blob_key == versions.c.blob_key, same_column != value)
    return sa.select(versions.c.blob_key).distinct().where(column == value, ~elsewhere)


_blobs: Final = released_blobs(versions.c.owner_id, _owner)
_delete_versions: Final = versions.delete().where(versions.c.owner_id == _owner)


async def hold(tx: Transaction, owner_type: str, owner_id: UUID) -> None:
    """Keep a file or page as it is until the transaction ends; nothing when that cannot write, or nobody else can."""
    if tx.readonly or tx.dialect == "sqlite":
        return
    for statement in _HOLD.get(owner_type, ()):
        await tx.row(statement, {"owner": owner_id})


async def disown(tx: Transaction, owner_id: UUID) -> list[str]:
    """Take away what a deleted file or page leaves: versions, texts, passages; return blobs that nothing names now.

    Its own row is gone already: who is about to store a text of it held it locked, or finds it gone.
    """
    key = {"owner": owner_id}
    blobs = [row[0] for row in await tx.rows(_blobs, key)]
    await tx.run(_delete_versions, key)
    await forget(tx, owner_id)
    await erase_texts(tx, [owner_id])
    return blobs


def without_owner(owner_type: str, owner_id: UUID) -> NotFound:
    """Return the error for a file or page that is not there."""
    return missing("page" if owner_type == URL else owner_type, owner_id)
