"""Versions of documents: rows, values, and which blobs they keep alive."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from eudai_core.model import DocumentStatus, DocumentVersion
from eudai_sql.tables import document_versions as table

__all__ = ["VERSION_COLUMNS", "released_blobs", "version_of", "version_values"]

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


def version_of(row: tuple[Any, ...]) -> DocumentVersion:
    """Return the value of a row of :data:`VERSION_COLUMNS`."""
    values = list(row)
    values[_STATUS] = DocumentStatus(values[_STATUS])
    return DocumentVersion(*values)


def version_values(version: DocumentVersion) -> dict[str, Any]:
    """Return the row of a value."""
    return {column.name: getattr(version, column.name) for column in VERSION_COLUMNS} | {"status": version.status.value}


def released_blobs(column: sa.ColumnElement[Any], value: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Select the blob keys that only versions with ``column = value`` name."""
    other = table.alias()
    same_column = other.c[column.key] if column.key is not None else column
    elsewhere = sa.exists().where(other.c.blob_key == table.c.blob_key, same_column != value)
    return sa.select(table.c.blob_key).distinct().where(column == value, ~elsewhere)
