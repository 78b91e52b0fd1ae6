"""The capability ``portable``: a database as a whole, read in one snapshot and filled in one transaction.

Everything goes over the direct URL: a pooler between would cut a connection that is kept for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from eudai_core.errors import ConfigError, Conflict
from eudai_core.model import MigrationSource
from eudai_sql.engines import migration_engine
from eudai_sql.failures import TablesMissing
from eudai_sql.history import in_order, read_history, version_table
from eudai_sql.migration import apply, exclusive, translated
from eudai_sql.portable_loading import SqlLoading, loading_for, not_empty
from eudai_sql.portable_tables import CarriedTable, TableReader, carried_tables, own_views, stored_revisions
from eudai_sql.url import DatabaseUrl

__all__ = ["SqlPortable"]

_SERVERS: Final = (
    "select count(*) from pg_stat_activity where datname = current_database() "
    "and application_name in ('eudai', 'eudai events') and pid <> pg_backend_pid()"
)
_IN_THE_WAY: Final[Mapping[str, str]] = {
    "2BP01": "a view or a table that is not eudai's depends on them",
    "42P07": "there is a table of the same name that is not eudai's",
}
"""What others have in the database that keeps tables from being made, by SQLSTATE."""
_SETTINGS: Final = {
    "application_name": "eudai carrier",
    # It may take hours, and waits between batches for whoever takes them.
    "idle_in_transaction_session_timeout": "0",
    "jit": "off",
    "lock_timeout": "5000",
    "statement_timeout": "0",
}
_BUSY_SECONDS: Final = 30.0


class SqlPortable:
    """See eudai_core.contracts.PortableDatabase."""

    def __init__(self, url: DatabaseUrl) -> None:
        """Work on the database at ``url``; nothing is connected yet."""
        self._url = url

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[TableReader]:
        """Read one state of everything."""
        if await self._nowhere():
            raise TablesMissing
        engine = _engine(self._url)
        async with translated(), _disposing(engine), engine.connect() as connection:
            await _begin_snapshot(connection, self._url)
            tables, revisions = await connection.run_sync(_look)
            if not revisions:
                raise TablesMissing
            yield TableReader(connection, tables, revisions)

    async def contents(self) -> Mapping[str, int]:
        """Return the rows of tables that must be empty and are not."""
        if await self._nowhere():
            return {}
        engine = _engine(self._url)
        async with translated(), _disposing(engine), engine.connect() as connection:
            await _begin_snapshot(connection, self._url)
            return await loading_for(connection, *await connection.run_sync(_look)).contents()

    async def in_use(self) -> bool:
        """Tell whether a server is connected; SQLite cannot tell, and there the lock of the data directory does."""
        if self._url.dialect == "sqlite":
            return False
        engine = _engine(self._url)
        async with translated(), _disposing(engine), engine.connect() as connection:
            return bool((await connection.exec_driver_sql(_SERVERS)).scalar())

    async def prepare(
        self, sources: Sequence[MigrationSource], revisions: Mapping[str, str], *, dry_run: bool = False
    ) -> None:
        """Make the tables those of ``revisions``; empty ones of other revisions are dropped first."""
        known = [await asyncio.to_thread(read_history, source) for source in in_order(sources)]
        histories = [history.until(revisions[history.branch]) for history in known if history.branch in revisions]
        if strangers := revisions.keys() - {history.branch for history in histories}:
            raise ConfigError(
                f"There are tables of {', '.join(sorted(strangers))}, which no installed plugin makes: "
                "install the plugin, then try again."
            )
        if dry_run:
            return
        engine = migration_engine(self._url)
        async with translated(), _disposing(engine), exclusive(self._url, engine) as connection:
            revisions_of = {history.branch: history.revisions for history in known}
            tables, stored = await connection.run_sync(_look, revisions_of)
            with _telling_what_is_in_the_way():
                if any(stored.get(branch) != revision for branch, revision in revisions.items()):
                    await _drop(connection, tables, stored)
                await apply(connection, histories)

    @asynccontextmanager
    async def loading(self) -> AsyncIterator[SqlLoading]:
        """Begin to load."""
        engine = _engine(self._url)
        async with translated(), _disposing(engine), exclusive(self._url, engine) as connection:
            await _begin_load(connection, self._url)
            loading = loading_for(connection, *await connection.run_sync(_look))
            await loading.begin()
            try:
                yield loading
            finally:
                await connection.rollback()

    async def _nowhere(self) -> bool:
        """Tell whether there is no file: to connect would make one."""
        return self._url.dialect == "sqlite" and not await asyncio.to_thread(self._url.path.exists)


def _engine(url: DatabaseUrl) -> AsyncEngine:
    """Return an engine for long work: results are read piece by piece, and a busy server is waited for."""
    options: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
    if url.dialect == "postgresql":
        connect = {"async_creator_fn": partial(_connect, url.dsn)}
        return create_async_engine("postgresql+asyncpg://", connect_args=connect, **options)
    file = sa.URL.create("sqlite+aiosqlite", database=str(url.path))
    return create_async_engine(file, connect_args={"isolation_level": None, "timeout": _BUSY_SECONDS}, **options)


async def _connect(dsn: str) -> Any:
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

    return await asyncpg.connect(dsn, timeout=_BUSY_SECONDS, server_settings=dict(_SETTINGS))


async def _begin_load(connection: AsyncConnection, url: DatabaseUrl) -> None:
    if url.dialect == "sqlite":
        # Foreign keys are not looked at by a connection of SQLite that does not ask for it.
        await connection.exec_driver_sql("PRAGMA synchronous=FULL")
        await connection.exec_driver_sql("BEGIN IMMEDIATE")


async def _begin_snapshot(connection: AsyncConnection, url: DatabaseUrl) -> None:
    if url.dialect == "sqlite":
        await connection.exec_driver_sql("PRAGMA query_only=ON")
        await connection.exec_driver_sql("BEGIN")
        return
    await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _look(
    connection: sa.Connection, known: Mapping[str, Collection[str]] | None = None
) -> tuple[list[CarriedTable], dict[str, str]]:
    stored = stored_revisions(connection, known or {})
    return carried_tables(connection, stored), stored


async def _drop(connection: AsyncConnection, tables: Sequence[CarriedTable], stored: Mapping[str, str]) -> None:
    """Drop tables that hold nothing; what others made, and what depends on it, stays."""
    if rows := await loading_for(connection, tables, stored).contents():
        raise not_empty(rows)
    views = await connection.run_sync(own_views, stored)
    await _drop_all(connection, "view", views)
    await _drop_all(connection, "table", [*(table.name for table in tables), *map(version_table, stored)])
    await connection.commit()


@contextmanager
def _telling_what_is_in_the_way() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        reason = _IN_THE_WAY.get(getattr(error.orig, "sqlstate", ""))
        if reason is None:
            raise
        raise Conflict(
            f"The tables cannot be made in this database: {reason}. Remove that, or choose another database."
        ) from error


async def _drop_all(connection: AsyncConnection, kind: str, names: Sequence[str]) -> None:
    quoted = [connection.dialect.identifier_preparer.quote(name) for name in names]
    # PostgreSQL takes them at once, as it must where they refer to each other; SQLite knows one at a time.
    for these in quoted if connection.dialect.name == "sqlite" else filter(None, [", ".join(quoted)]):
        await connection.exec_driver_sql(f"drop {kind} {these}")


@asynccontextmanager
async def _disposing(engine: AsyncEngine) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await engine.dispose()
