"""Many rows as one parameter: a JSON array that the database reads as a table."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from eudai_sql.url import Dialect

__all__ = ["key_text", "rows_source"]

_POSTGRESQL_TYPES = {"id": "uuid", "float": "double precision", "integer": "bigint", "text": "text"}


def rows_source(dialect: Dialect, parameter: str, columns: Mapping[str, str]) -> str:
    """Return the SQL of a table called ``given``, made of the JSON array of objects in ``parameter``.

    ``columns`` are the members and their types: ``id``, ``float``, ``integer`` or ``text``. Names come from the
    program, never from users. On SQLite ids are compared as the text that :func:`key_text` gives.
    """
    if dialect == "postgresql":
        typed = ", ".join(f"{name} {_POSTGRESQL_TYPES[kind]}" for name, kind in columns.items())
        return f"json_to_recordset(cast(:{parameter} as json)) as given ({typed})"
    picked = ", ".join(f"json_extract(value, '$.{name}') as {name}" for name in columns)
    return f"(select {picked} from json_each(:{parameter})) as given"  # noqa: S608 -- see above


def key_text(key: UUID) -> str:
    """Return an id as both dialects read it in JSON: SQLite keeps ids as these 32 characters."""
    return key.hex
