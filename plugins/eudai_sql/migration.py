"""Bringing the tables to their newest revision, once, however many processes want to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from eudai_core.errors import StorageUnavailable
from eudai_core.model import MigrationSource
from eudai_sql.engines import migration_engine
from eudai_sql.failures import DATABASE_FAILURES, translate
from eudai_sql.file_lock import file_lock
from eudai_sql.history import History, in_order, read_history
from eudai_sql.tables import metadata
from eudai_sql.url import DatabaseUrl

__all__ = ["migrate", "stored_revision"]

_log: Final = logging.getLogger(__name__)
_LOCK_KEY: Final = 0x6575_6461_6902
"""The key of the advisory lock of migrations ("eudai", 2)."""
_LOCK_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1


async def migrate(url: DatabaseUrl, sources: Sequence[MigrationSource], *, dry_run: bool) -> list[str]:
    """Apply what is missing and return it as ``branch:revision``; with ``dry_run`` only return it.

    Each source is applied in one transaction, so a migration that is killed leaves nothing half done.

    Raises:
        ConfigError: the database is newer than this program, or the sources do not fit together.
        StorageUnavailable: the database does not answer, or another process migrates for more than a minute.
    """
    histories = [await asyncio.to_thread(read_history, source) for source in in_order(sources)]
    engine = migration_engine(url)
    try:
        async with _exclusive(url, engine) as connection:
            return await _apply(connection, histories, dry_run=dry_run)
    except DATABASE_FAILURES as error:
        translated = translate(error)
        if translated is None:
            raise
        raise translated from error
    finally:
        await engine.dispose()


async def stored_revision(connection: AsyncConnection, history: History) -> str | None:
    """Return the revision that a database is at, or None when it has no tables of this source."""

    def read(sync: sa.Connection) -> str | None:
        if not sa.inspect(sync).has_table(history.version_table):
            return None
        table = sa.table(history.version_table, sa.column("version_num", sa.String()))
        return sync.execute(sa.select(table.c.version_num)).scalar()

    return await connection.run_sync(read)


async def _apply(connection: AsyncConnection, histories: Sequence[History], *, dry_run: bool) -> list[str]:
    missing: dict[str, tuple[str, ...]] = {}
    for history in histories:
        missing[history.source.branch] = history.pending(await stored_revision(connection, history))
    await connection.commit()
    if not dry_run and any(missing.values()):
        await _upgrade(connection, histories, missing)
    return [f"{branch}:{revision}" for branch, revisions in missing.items() for revision in revisions]


async def _upgrade(
    connection: AsyncConnection, histories: Sequence[History], missing: Mapping[str, Sequence[str]]
) -> None:
    # Here and not above: Alembic takes a third of a second to import, and a start that finds nothing to do needs none.
    from eudai_sql.alembic_run import upgrade

    for history in histories:
        revisions = missing[history.source.branch]
        if revisions:
            _log.info("migrating the tables of %s to %s", history.source.branch, history.head)
            await connection.run_sync(upgrade, history, metadata)
            await connection.commit()


@asynccontextmanager
async def _exclusive(url: DatabaseUrl, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Connect, when no other process migrates this database."""
    if url.dialect == "sqlite":
        lock = url.path.with_name(url.path.name + ".migrate.lock")
        async with file_lock(lock, seconds=_LOCK_SECONDS), engine.connect() as connection:
            yield connection
        return
    async with engine.connect() as connection:
        await _lock(connection)
        try:
            yield connection
        finally:
            # The lock belongs to the connection and goes with it, even when this fails.
            await connection.invalidate() if connection.in_transaction() else await _unlock(connection)


async def _lock(connection: AsyncConnection) -> None:
    take = sa.text(f"select pg_try_advisory_lock({_LOCK_KEY})")
    end = asyncio.get_running_loop().time() + _LOCK_SECONDS
    while not (await connection.execute(take)).scalar_one():
        # Committed each time: an open transaction would keep the other's changes out of sight.
        await connection.commit()
        if asyncio.get_running_loop().time() > end:
            raise StorageUnavailable("Another process has been migrating the database for a minute; try again later.")
        await asyncio.sleep(_POLL_SECONDS)
    await connection.commit()


async def _unlock(connection: AsyncConnection) -> None:
    await connection.execute(sa.text(f"select pg_advisory_unlock({_LOCK_KEY})"))
    await connection.commit()
