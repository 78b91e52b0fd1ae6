"""The storage: units of work, migrations, health."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from eudai_core.errors import ConfigError
from eudai_core.model import Health, HealthStatus, MigrationSource
from eudai_sql.database import Database
from eudai_sql.engines import PoolSizes
from eudai_sql.failures import DatabaseAway, reason_of
from eudai_sql.history import CORE, History, read_history, version_table
from eudai_sql.migration import migrate
from eudai_sql.portable import SqlPortable
from eudai_sql.transaction import Transaction
from eudai_sql.unit_of_work import SqlUnitOfWork
from eudai_sql.upgrade_copy import UpgradeCopy
from eudai_sql.url import DatabaseUrl, parse_url

__all__ = ["SqlStorage", "open_storage"]

_SQLITE_NEEDED: Final = (3, 35)
"""The first version with RETURNING, of March 2021."""
_HEALTH_SECONDS: Final = 1.9

_version_table: Final = sa.table(version_table(CORE.branch), sa.column("version_num", sa.Text()))
_revision: Final = sa.select(_version_table.c.version_num)


def open_storage(
    url: str, sizes: PoolSizes | None = None, *, direct_url: str | None = None, pooler: bool | None = None
) -> SqlStorage:
    """Return the storage at ``url``; nothing is connected before it is used.

    ``direct_url`` is the same database without a pooler between: migrations need a connection to themselves.
    ``pooler`` says whether ``url`` leads through one in transaction mode; None: when there is a ``direct_url``.

    Raises:
        ConfigError: the URL is of no kind that is understood, or this Python has too old an SQLite.
    """
    target = parse_url(url)
    if target.dialect == "sqlite" and sqlite3.sqlite_version_info < _SQLITE_NEEDED:
        raise ConfigError(
            f"This Python has SQLite {sqlite3.sqlite_version}; 3.35 or newer is needed. "
            "Use a newer Python, or a PostgreSQL database."
        )
    direct = target if direct_url is None else parse_url(direct_url)
    through_pooler = direct_url is not None if pooler is None else pooler
    return SqlStorage(Database(target, sizes or PoolSizes(), pooler=through_pooler), direct)


class SqlStorage:
    """See eudai_core.contracts.Storage."""

    def __init__(self, database: Database, direct: DatabaseUrl) -> None:
        """Keep ``database``, which :meth:`aclose` closes; migrate over ``direct``."""
        self._database = database
        self._direct = direct
        self._core: History | None = None
        self._copy = UpgradeCopy()

    @property
    def single_process(self) -> bool:
        """Whether this is SQLite, which one server process may use."""
        return self._database.dialect == "sqlite"

    @property
    def description(self) -> str:
        """Where the data is, without credentials."""
        return self._database.url.description

    def unit_of_work(self, *, readonly: bool = False, snapshot: bool = True) -> SqlUnitOfWork:
        """Begin a transaction when first used; ``readonly`` reads one state, or begins none without ``snapshot``."""
        return SqlUnitOfWork(self._database, readonly=readonly, snapshot=snapshot)

    async def migrate(self, sources: Sequence[MigrationSource], *, dry_run: bool = False) -> Sequence[str]:
        """Bring the core tables, then each source's, to their newest revision; return ``branch:revision`` of each."""
        try:
            return await migrate(self._direct, sources, dry_run=dry_run, copy=self._copy)
        except DatabaseAway as error:
            # Only operators migrate, and they are told what to do about it.
            raise DatabaseAway(error.reason, f"{error.reason[:1].upper()}{error.reason[1:]}.") from error

    async def health(self) -> Health:
        """Tell within two seconds whether the database answers and its core tables are those needed."""
        try:
            # A statement has its own deadline; this one is for waiting behind other readers.
            async with asyncio.timeout(_HEALTH_SECONDS):
                return await self._schema_health()
        except DatabaseAway as error:
            return Health(HealthStatus.DOWN, error.reason)
        except ConfigError as error:
            return Health(HealthStatus.DOWN, error.detail)
        except TimeoutError as error:
            return Health(HealthStatus.DOWN, reason_of(error))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._database.aclose()

    async def _schema_health(self) -> Health:
        if self._core is None:
            self._core = await asyncio.to_thread(read_history, CORE)
        transaction = Transaction(self._database, readonly=True, snapshot=False)
        try:
            stored: str | None = await transaction.value(_revision)
        finally:
            await transaction.rollback()
        if self._core.pending(stored):
            return Health(HealthStatus.DOWN, "The tables are of an older version: run `eudai db upgrade`.")
        return Health(HealthStatus.OK)

    def portable(self) -> SqlPortable:
        """Everything in the database, to carry elsewhere."""
        return SqlPortable(self._direct)
