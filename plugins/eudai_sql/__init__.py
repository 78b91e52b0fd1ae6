"""Storage, search index and event bus on SQLAlchemy Core: PostgreSQL by URL, else an embedded SQLite file.

Only late names stand here: neither SQLAlchemy nor a driver is imported before the host builds what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eudai_core.hooks import hookimpl

if TYPE_CHECKING:
    from eudai_core.contracts import EventBus, Registrar, SearchIndex, SettingsRegistrar, Storage

__all__ = ["SqlPlugin", "plugin"]


class SqlPlugin:
    """Registers the storage ``sql``, the search index ``sql`` and the event buses ``sql`` and ``local``."""

    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_settings(self, register: SettingsRegistrar) -> None:
        """Register the section ``database``."""
        from eudai_sql.settings import DatabaseSettings

        register("database", DatabaseSettings)

    @hookimpl
    def eudai_register_storage(self, register: Registrar[Storage]) -> None:
        """Register ``sql``."""
        register("sql", "eudai_sql.factories:storage")

    @hookimpl
    def eudai_register_search_indexes(self, register: Registrar[SearchIndex]) -> None:
        """Register ``sql``."""
        register("sql", "eudai_sql.factories:search_index")

    @hookimpl
    def eudai_register_event_buses(self, register: Registrar[EventBus]) -> None:
        """Register ``sql``, which reaches every process of the database, and ``local``, which reaches its own."""
        register("sql", "eudai_sql.factories:event_bus")
        register("local", "eudai_sql.factories:local_event_bus")


plugin = SqlPlugin()
