"""Connections: one pool for PostgreSQL, and two for SQLite, of which only one may write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Final
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from eudai_sql.types import dump_json, load_json
from eudai_sql.url import DatabaseUrl

__all__ = ["PoolSizes", "migration_engine", "postgresql_engine", "sqlite_engine"]

_CONNECT_SECONDS: Final = 1.5
_BUSY_SECONDS: Final = 1.5
# Waiting for one's turn to write is no failure: two hundred writers at once must all succeed.
_WRITER_TURN_SECONDS: Final = 10.0

_SERVER_SETTINGS: Final[Mapping[str, str]] = {
    "application_name": "eudai",
    "idle_in_transaction_session_timeout": "30000",
    "jit": "off",
    "statement_timeout": "15000",
}
_MIGRATION_SETTINGS: Final[Mapping[str, str]] = {
    "application_name": "eudai migration",
    "jit": "off",
    "lock_timeout": "5000",
}
_COMMON: Final[Mapping[str, Any]] = {
    # Errors are logged with their statement; what users wrote stays out of it.
    "hide_parameters": True,
    "json_serializer": dump_json,
    "json_deserializer": load_json,
}


@dataclass(frozen=True, slots=True)
class PoolSizes:
    """How many connections are kept, and how many more may be opened under load."""

    kept: int = 10
    overflow: int = 10
    sqlite_readers: int = 4


def postgresql_engine(url: DatabaseUrl, sizes: PoolSizes) -> AsyncEngine:
    """Return an engine that fails fast; see eudai_sql.transaction for what happens to stale connections."""
    return create_async_engine(
        "postgresql+asyncpg://",
        pool_size=sizes.kept,
        max_overflow=sizes.overflow,
        pool_timeout=_CONNECT_SECONDS,
        pool_recycle=1800,
        connect_args={"async_creator_fn": _connector(url.dsn, _SERVER_SETTINGS, command_timeout=15.0)},
        **_COMMON,
    )


def sqlite_engine(path: Path, *, write: bool, pool_size: int, threads: WeakSet[Thread]) -> AsyncEngine:
    """Return an engine on an SQLite file in WAL mode, and add the thread of each connection to ``threads``.

    A writer takes the write lock when it begins: a transaction that reads first and writes later would fail at once
    when another one wrote in between. A reader sees one state of the database and cannot write.
    """
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_WRITER_TURN_SECONDS,
        # Units of work end their transactions themselves; a second rollback would cost a trip to the thread.
        pool_reset_on_return=None,
        connect_args={"isolation_level": None, "timeout": _BUSY_SECONDS},
        **_COMMON,
    )
    pragmas = ["foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL"] if write else ["query_only=ON"]
    _prepare_sqlite(engine, pragmas, "BEGIN IMMEDIATE" if write else "BEGIN", threads)
    return engine


def migration_engine(url: DatabaseUrl) -> AsyncEngine:
    """Return an engine for migrations: no pool, time enough, and on SQLite tables may be rebuilt under their keys."""
    if url.dialect == "postgresql":
        creator = _connector(url.dsn, _MIGRATION_SETTINGS, command_timeout=None)
        return create_async_engine(
            "postgresql+asyncpg://",
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"async_creator_fn": creator},
        )
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(url.path)),
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"isolation_level": None, "timeout": 30.0},
    )
    _prepare_sqlite(engine, ["foreign_keys=OFF", "journal_mode=WAL", "synchronous=FULL"], "BEGIN IMMEDIATE")
    return engine


def _connector(
    dsn: str, server_settings: Mapping[str, str], *, command_timeout: float | None
) -> Callable[[], Awaitable[Any]]:
    async def connect() -> Any:
        import asyncpg  # type: ignore[import-untyped]  # it ships no types

        return await asyncpg.connect(
            dsn, timeout=_CONNECT_SECONDS, command_timeout=command_timeout, server_settings=dict(server_settings)
        )

    return connect


def _prepare_sqlite(
    engine: AsyncEngine, pragmas: list[str], begin: str, threads: WeakSet[Thread] | None = None
) -> None:
    script = ";".join(f"PRAGMA {pragma}" for pragma in pragmas)

    def on_connect(connection: Any, _record: Any) -> None:
        thread = getattr(connection.driver_connection, "_thread", None)
        if threads is not None and thread is not None:
            threads.add(thread)
        connection.run_async(lambda driver: driver.executescript(script))

    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    sa.event.listen(engine.sync_engine, "connect", on_connect)
    sa.event.listen(engine.sync_engine, "begin", on_begin)
