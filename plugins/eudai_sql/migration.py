"""Bringing the tables to their newest revision, once, however many processes want to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from eudai_core.errors import ConfigError, EudaiError, PluginError, StorageUnavailable
from eudai_core.model import MigrationSource
from eudai_sql.engines import migration_engine
from eudai_sql.failures import DATABASE_FAILURES, TablesMissing, translate
from eudai_sql.file_lock import file_lock
from eudai_sql.history import CORE, History, in_order, read_history
from eudai_sql.tables import metadata
from eudai_sql.upgrade_copy import UpgradeCopy, make_private
from eudai_sql.url import DatabaseUrl

__all__ = ["apply", "exclusive", "migrate", "stored_revision", "translated"]

_log: Final = logging.getLogger(__name__)
_LOCK_KEY: Final = 0x6575_6461_6902
"""The key of the advisory lock of migrations ("eudai", 2)."""
_LOCK_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.1


async def migrate(
    url: DatabaseUrl, sources: Sequence[MigrationSource], *, dry_run: bool, copy: UpgradeCopy | None = None
) -> list[str]:
    """Apply what is missing and return it as ``branch:revision``; with ``dry_run`` only return it.

    Each source is applied in one transaction, so a migration that is killed leaves nothing half done, and one that
    fails leaves those before it done: the core's is the first.

    Raises:
        ConfigError: the database is newer than this program, or the sources do not fit together.
        PluginError: the migration of a plugin failed, or touched tables that are not the plugin's.
        StorageUnavailable: the database does not answer, or another process migrates for more than a minute.
    """
    histories = [await asyncio.to_thread(read_history, source) for source in in_order(sources)]
    if dry_run and url.dialect == "sqlite" and not await asyncio.to_thread(url.path.exists):
        # To look would make the file.
        return [f"{history.branch}:{revision}" for history in histories for revision in history.revisions]
    engine = migration_engine(url)
    try:
        async with translated(), exclusive(url, engine) as connection:
            make = None if copy is None or url.dialect != "sqlite" else partial(copy.make, url.path)
            return await apply(connection, histories, dry_run=dry_run, copy=make)
    finally:
        await engine.dispose()


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn what a database raises in the block into what it means."""
    try:
        yield
    except DATABASE_FAILURES as error:
        meaning = translate(error)
        if meaning is None:
            raise
        raise meaning from error


async def stored_revision(connection: AsyncConnection, history: History) -> str | None:
    """Return the revision that a database is at, or None when it has no tables of this source."""

    def read(sync: sa.Connection) -> str | None:
        if not sa.inspect(sync).has_table(history.version_table):
            return None
        table = sa.table(history.version_table, sa.column("version_num", sa.String()))
        return sync.execute(sa.select(table.c.version_num)).scalar()

    return await connection.run_sync(read)


async def apply(
    connection: AsyncConnection,
    histories: Sequence[History],
    *,
    dry_run: bool = False,
    copy: Callable[[str], None] | None = None,
) -> list[str]:
    """Bring tables to the last revision of each history.

    ``copy``, a blocking function that is given the revision of the core's tables, is called before anything is changed
    in a database that has them.
    """
    stored = {history.branch: await stored_revision(connection, history) for history in histories}
    missing = {history.branch: history.pending(stored[history.branch]) for history in histories}
    await connection.commit()
    if not dry_run and any(missing.values()):
        here = stored.get(CORE.branch)
        make = None if copy is None or here is None else partial(copy, here)
        await _upgrade(connection, histories, missing, make)
    return [f"{branch}:{revision}" for branch, revisions in missing.items() for revision in revisions]


async def _upgrade(
    connection: AsyncConnection,
    histories: Sequence[History],
    missing: Mapping[str, Sequence[str]],
    copy: Callable[[], None] | None,
) -> None:
    # Here and not above: Alembic takes a third of a second to import, and a start that finds nothing to do needs none.
    from eudai_sql.alembic_run import upgrade
    from eudai_sql.plugin_tables import upgrade_plugin

    for history in histories:
        if not missing[history.branch]:
            continue
        _log.info("migrating the tables of %s to %s", history.branch, history.head)
        if history.source == CORE:
            await connection.run_sync(upgrade, history, metadata)
        else:
            with _told_as_fault_of(history):
                await connection.run_sync(upgrade_plugin, history)
        if copy is not None:
            # Until the commit the file is what it was. A migration that fails at every start makes no copies, which
            # would take the place of older ones.
            await asyncio.to_thread(copy)
            copy = None
        await connection.commit()


@contextmanager
def _told_as_fault_of(history: History) -> Iterator[None]:
    """Turn what a plugin's migration raises into PluginError, unless the database is at fault."""
    try:
        yield
    except EudaiError:
        raise
    except (Exception, SystemExit) as error:  # the plugin's own code runs here
        if _is_away(error):
            raise
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise PluginError(
            f"its migration to {history.head} failed and was undone: {type(error).__name__}: {reason}"
        ) from error


def _is_away(error: BaseException) -> bool:
    """Tell whether the database is at fault, and not the statement."""
    if not isinstance(error, DATABASE_FAILURES) or isinstance(error, sa.exc.ProgrammingError):
        return False
    meaning = translate(error)
    return isinstance(meaning, StorageUnavailable) and not isinstance(meaning, TablesMissing)


@asynccontextmanager
async def exclusive(url: DatabaseUrl, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Connect, when no other process migrates this database; a file that is not there is made.

    Raises:
        ConfigError: the file cannot be made.
        StorageUnavailable: another process migrates for more than a minute.
    """
    if url.dialect == "sqlite":
        await _make_file(url.path)
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


async def _make_file(path: Path) -> None:
    try:
        await asyncio.to_thread(make_private, path)
    except OSError as error:
        raise ConfigError(
            f"The database {path} cannot be made or opened ({error.strerror}): make its directory writable, or choose "
            "another one with EUDAI_DATA_DIR or --data-dir."
        ) from error


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
