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

from eudai_sql.sqlite_driver import connect_sqlite
from eudai_sql.types import dump_json, load_json
from eudai_sql.url import DatabaseUrl

__all__ = [
    "AUTOCOMMIT",
    "CONNECT_SECONDS",
    "PoolSizes",
    "migration_engine",
    "postgresql_connector",
    "postgresql_engine",
    "sqlite_engine",
]

CONNECT_SECONDS: Final = 1.5
_BUSY_SECONDS: Final = 1.5
# Waiting for one's turn to write is no failure: two hundred writers at once must all succeed.
_WRITER_TURN_SECONDS: Final = 10.0

AUTOCOMMIT: Final = "eudai_autocommit"
"""Execution option of an SQLite engine: no transaction is begun."""

_SERVER_SETTINGS: Final[Mapping[str, str]] = {
    "application_name": "eudai",
    "idle_in_transaction_session_timeout": "30000",
    "jit": "off",
    # Before the statement's own time is over: to wait for somebody is no outage, and has an error of its own.
    "lock_timeout": "12000",
    "statement_timeout": "15000",
}
_POOLER_SETTINGS: Final[Mapping[str, str]] = {"application_name": "eudai"}
"""All that a pooler is sure to take: its connections to the server are set up before ours to it."""
_MIGRATION_SETTINGS: Final[Mapping[str, str]] = {
    "application_name": "eudai migration",
    # What the database or the user's role say for other work: a large table takes the time that it takes.
    "idle_in_transaction_session_timeout": "0",
    "jit": "off",
    "lock_timeout": "5000",
    "statement_timeout": "0",
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


def postgresql_engine(url: DatabaseUrl, sizes: PoolSizes, *, pooler: bool) -> AsyncEngine:
    """Return an engine that fails fast; see eudai_sql.transaction for what happens to stale connections.

    With a ``pooler`` in transaction mode between, each transaction may meet another session of the server: then
    statements are prepared without a name, which the next one replaces, and none is kept.
    """
    settings, caches = (_POOLER_SETTINGS, _NOTHING_KEPT) if pooler else (_SERVER_SETTINGS, {})
    creator = postgresql_connector(
        url.dsn, settings, command_timeout=15.0, statement_cache_size=0 if pooler else _STATEMENTS_KEPT
    )
    return create_async_engine(
        "postgresql+asyncpg://",
        pool_size=sizes.kept,
        max_overflow=sizes.overflow,
        pool_timeout=CONNECT_SECONDS,
        pool_recycle=1800,
        connect_args={"async_creator_fn": creator, **caches},
        **_COMMON,
    )


_STATEMENTS_KEPT: Final = 100
_NOTHING_KEPT: Final[Mapping[str, Any]] = {
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}


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
        connect_args={"isolation_level": None, "timeout": _BUSY_SECONDS, "async_creator_fn": connect_sqlite},
        **_COMMON,
    )
    pragmas = ["foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL"] if write else ["query_only=ON"]
    _prepare_sqlite(engine, pragmas, "BEGIN IMMEDIATE" if write else "BEGIN", threads)
    return engine


def migration_engine(url: DatabaseUrl) -> AsyncEngine:
    """Return an engine for migrations: no pool, time enough, and on SQLite tables may be rebuilt under their keys."""
    if url.dialect == "postgresql":
        creator = postgresql_connector(url.dsn, _MIGRATION_SETTINGS, command_timeout=None)
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
        connect_args={"isolation_level": None, "timeout": 30.0, "async_creator_fn": connect_sqlite},
    )
    _prepare_sqlite(engine, ["foreign_keys=OFF", "journal_mode=WAL", "synchronous=FULL"], "BEGIN IMMEDIATE")
    return engine


def postgresql_connector(
    dsn: str,
    server_settings: Mapping[str, str],
    *,
    command_timeout: float | None = None,
    statement_cache_size: int = _STATEMENTS_KEPT,
) -> Callable[[], Awaitable[Any]]:
    """Return what opens a connection of asyncpg, within CONNECT_SECONDS."""

    async def connect() -> Any:
        import asyncpg  # type: ignore[import-untyped]  # it ships no types

        return await asyncpg.connect(
            dsn,
            timeout=CONNECT_SECONDS,
            command_timeout=command_timeout,
            server_settings=dict(server_settings),
            statement_cache_size=statement_cache_size,
        )

    return connect


def _prepare_sqlite(
    engine: AsyncEngine, pragmas: list[str], begin: str, threads: WeakSet[Thread] | None = None
) -> None:
    script = ";".join(f"PRAGMA {pragma}" for pragma in pragmas)

    def on_connect(connection: Any, _record: Any) -> None:
        if threads is not None:
            threads.add(connection.driver_connection.thread)
        connection.run_async(lambda driver: driver.executescript(script))

    def on_begin(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get(AUTOCOMMIT):
            driver: Any = connection.connection.driver_connection
            driver.begin_with_next(begin)

    sa.event.listen(engine.sync_engine, "connect", on_connect)
    sa.event.listen(engine.sync_engine, "begin", on_begin)
