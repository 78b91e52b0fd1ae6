"""The storage: units of work, migrations, health."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from eudai_core.errors import ConfigError, StorageUnavailable
from eudai_core.model import Health, HealthStatus, MigrationSource
from eudai_sql.database import Database
from eudai_sql.engines import PoolSizes
from eudai_sql.failures import TablesMissing
from eudai_sql.history import CORE, History, read_history, version_table
from eudai_sql.migration import migrate
from eudai_sql.transaction import Transaction
from eudai_sql.unit_of_work import SqlUnitOfWork
from eudai_sql.url import DatabaseUrl, parse_url

__all__ = ["SqlStorage", "open_storage"]

_SQLITE_NEEDED: Final = (3, 35)
"""The first version with RETURNING, of March 2021."""
_HEALTH_SECONDS: Final = 1.9

_version_table: Final = sa.table(version_table(CORE.branch), sa.column("version_num", sa.Text()))
_revision: Final = sa.select(_version_table.c.version_num)


def open_storage(url: str, sizes: PoolSizes | None = None, *, direct_url: str | None = None) -> SqlStorage:
    """Return the storage at ``url``; nothing is connected before it is used.

    ``direct_url`` is the same database without a pooler between: migrations need a connection to themselves.

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
    return SqlStorage(Database(target, sizes or PoolSizes()), direct)


class SqlStorage:
    """See eudai_core.contracts.Storage."""

    def __init__(self, database: Database, direct: DatabaseUrl) -> None:
        """Keep ``database``, which :meth:`aclose` closes; migrate over ``direct``."""
        self._database = database
        self._direct = direct
        self._core: History | None = None

    @property
    def single_process(self) -> bool:
        """Whether this is SQLite, which one server process may use."""
        return self._database.dialect == "sqlite"

    @property
    def description(self) -> str:
        """Where the data is, without credentials."""
        return self._database.url.description

    def unit_of_work(self, *, readonly: bool = False) -> SqlUnitOfWork:
        """Begin a transaction when first used; ``readonly`` reads are a snapshot and cannot write."""
        return SqlUnitOfWork(self._database, readonly=readonly)

    async def migrate(self, sources: Sequence[MigrationSource], *, dry_run: bool = False) -> Sequence[str]:
        """Bring the core tables, then each source's, to their newest revision; return ``branch:revision`` of each."""
        return await migrate(self._direct, sources, dry_run=dry_run)

    async def health(self) -> Health:
        """Tell within two seconds whether the database answers and its core tables are those needed."""
        try:
            # A statement has its own deadline; this one is for waiting behind other readers.
            async with asyncio.timeout(_HEALTH_SECONDS):
                return await self._schema_health()
        except (TablesMissing, ConfigError) as error:
            return Health(HealthStatus.DOWN, error.detail)
        except (StorageUnavailable, TimeoutError):
            return Health(HealthStatus.DOWN, "the database does not answer")

    async def aclose(self) -> None:
        """Close every connection."""
        await self._database.aclose()

    async def _schema_health(self) -> Health:
        if self._core is None:
            self._core = await asyncio.to_thread(read_history, CORE)
        transaction = Transaction(self._database, readonly=True)
        try:
            stored: str | None = await transaction.value(_revision)
        finally:
            await transaction.rollback()
        if self._core.pending(stored):
            return Health(HealthStatus.DOWN, "The tables are of an older version: run `eudai db upgrade`.")
        return Health(HealthStatus.OK)
