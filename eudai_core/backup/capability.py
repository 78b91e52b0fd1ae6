"""Asking a storage for what backups need."""

from __future__ import annotations

from eudai_core.contracts import PortableDatabase, PortableStorage, Storage
from eudai_core.errors import ConfigError, Conflict

__all__ = ["kind_of", "portable", "refuse_in_use", "refuse_rows"]


def portable(storage: Storage) -> PortableDatabase:
    """Return the storage's capability ``portable``.

    Raises:
        ConfigError: it has none.
    """
    if not isinstance(storage, PortableStorage):
        raise ConfigError("The chosen storage cannot be copied as a whole: use the tools that came with it.")
    return storage.portable()


def kind_of(storage: Storage) -> str:
    """Return the kind of database, such as ``SQLite``, by its description."""
    return storage.description.partition(" ")[0]


async def refuse_in_use(database: PortableDatabase, description: str) -> None:
    """Raise Conflict when a server is connected."""
    if await database.in_use():
        raise Conflict(f"A server uses the database ({description}): stop every server first.")


async def refuse_rows(database: PortableDatabase, description: str) -> None:
    """Raise Conflict when there are rows that loading would mix with."""
    if rows := await database.contents():
        told = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise Conflict(f"The database ({description}) is not empty (rows: {told}): choose an empty one.")
