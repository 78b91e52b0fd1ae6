"""A database as the first revision with conversations made it, and fingerprints of what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic import command

from eudai_sql.alembic_run import _config
from eudai_sql.engines import migration_engine
from eudai_sql.history import CORE, read_history
from eudai_sql.tables import metadata
from eudai_sql.url import parse_url

__all__ = ["OLD", "Columns", "columns_of", "fill", "fingerprints", "inside", "move_down", "move_up"]

T = TypeVar("T")
OLD = "0002"
"""The first revision with conversations and messages."""
Columns = Mapping[str, Sequence[str]]
"""Columns by table."""


async def inside(url: str, work: Callable[[sa.Connection], T]) -> T:
    """Run ``work`` on a connection as migrations have it, and commit."""
    engine = migration_engine(parse_url(url))
    try:
        async with engine.connect() as connection:
            done = await connection.run_sync(work)
            await connection.commit()
            return done
    finally:
        await engine.dispose()


async def move_up(url: str, revision: str) -> None:
    """Upgrade a database's core tables to a revision."""
    await inside(url, lambda connection: command.upgrade(_config(connection, read_history(CORE), metadata), revision))


async def move_down(url: str, revision: str) -> None:
    """Downgrade a database's core tables to a revision."""
    await inside(url, lambda connection: command.downgrade(_config(connection, read_history(CORE), metadata), revision))


async def fill(url: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Store rows by table as they are."""

    def insert(connection: sa.Connection) -> None:
        for name, rows in tables.items():
            known = metadata.tables[name].c
            table = sa.table(name, *(sa.column(column, known[column].type) for column in rows[0]))
            connection.execute(table.insert(), rows)

    await inside(url, insert)


async def columns_of(url: str) -> Columns:
    """Return the columns of every table but Alembic's own."""

    def read(connection: sa.Connection) -> Columns:
        inspector = sa.inspect(connection)
        names = [name for name in inspector.get_table_names() if not name.startswith("alembic_version")]
        return {name: sorted(column["name"] for column in inspector.get_columns(name)) for name in names}

    return await inside(url, read)


async def fingerprints(url: str, columns: Columns) -> dict[str, str]:
    """Return for each table the number of its rows and a hash of their bytes, whatever order they are kept in.

    Without the jobs that the upgrade itself leaves, to have documents indexed again.
    """

    def read(connection: sa.Connection) -> dict[str, str]:
        sqlite = connection.dialect.name == "sqlite"
        return {
            table: _fingerprint(connection.exec_driver_sql(_bytes_of(table, names, sqlite=sqlite)))
            for table, names in columns.items()
        }

    return await inside(url, read)


def _bytes_of(table: str, columns: Sequence[str], *, sqlite: bool) -> str:
    one = 'typeof("{0}"), cast("{0}" as blob)' if sqlite else '"{0}"::text'
    which = " where kind <> 'ingest'" if table == "jobs" else ""
    return f'select {", ".join(map(one.format, columns))} from "{table}"{which}'


def _fingerprint(rows: Iterable[Any]) -> str:
    hashes = sorted(hashlib.sha256(repr(tuple(row)).encode()).digest() for row in rows)
    return f"{len(hashes)}:{hashlib.sha256(b''.join(hashes)).hexdigest()}"
