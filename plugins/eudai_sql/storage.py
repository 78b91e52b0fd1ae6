"""The storage: units of work, migrations, health."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from eudai_core.errors import ConfigError, EudaiError
from eudai_core.model import Health, HealthStatus, MigrationSource
from eudai_sql.database import Database
from eudai_sql.engines import PoolSizes
from eudai_sql.failures import DATABASE_FAILURES
from eudai_sql.history import CORE, History, read_history
from eudai_sql.migration import migrate, stored_revision
from eudai_sql.unit_of_work import SqlUnitOfWork
from eudai_sql.url import parse_url

__all__ = ["SqlStorage", "open_storage"]

_SQLITE_NEEDED: Final = (3, 35)
"""The first version with RETURNING, of March 2021."""
_HEALTH_SECONDS: Final = 1.8


def open_storage(url: str, sizes: PoolSizes | None = None) -> SqlStorage:
    """Return the storage at ``url``; nothing is connected before it is used.

    Raises:
        ConfigError: the URL is of no kind that is understood, or this Python has too old an SQLite.
    """
    target = parse_url(url)
    if target.dialect == "sqlite" and sqlite3.sqlite_version_info < _SQLITE_NEEDED:
        raise ConfigError(
            f"This Python has SQLite {sqlite3.sqlite_version}; 3.35 or newer is needed. "
            "Use a newer Python, or a PostgreSQL database."
        )
    return SqlStorage(Database(target, sizes or PoolSizes()))


class SqlStorage:
    """See eudai_core.contracts.Storage."""

    def __init__(self, database: Database) -> None:
        """Keep ``database``, which :meth:`aclose` closes."""
        self._database = database
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
        return await migrate(self._database.url, sources, dry_run=dry_run)

    async def health(self) -> Health:
        """Tell within two seconds whether the database answers and its core tables are those needed."""
        try:
            async with asyncio.timeout(_HEALTH_SECONDS), self._database.reader.connect() as connection:
                return await self._schema_health(connection)
        except (*DATABASE_FAILURES, EudaiError) as error:
            # The kind of error helps an operator; its text could tell addresses.
            return Health(HealthStatus.DOWN, f"the database does not answer ({type(error).__name__})")

    async def aclose(self) -> None:
        """Close every connection."""
        await self._database.aclose()

    async def _schema_health(self, connection: AsyncConnection) -> Health:
        if self._core is None:
            self._core = await asyncio.to_thread(read_history, CORE)
        try:
            pending = self._core.pending(await stored_revision(connection, self._core))
        except ConfigError as error:
            return Health(HealthStatus.DOWN, error.detail)
        if pending:
            return Health(HealthStatus.DOWN, "the database lacks tables: run `eudai db upgrade`")
        return Health(HealthStatus.OK)
