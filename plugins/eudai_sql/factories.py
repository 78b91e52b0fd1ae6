"""What the plugin's late names point to."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from eudai_core.contracts import EventBus, PluginContext
from eudai_core.settings import CoreSettings
from eudai_sql.bus import LocalEventBus
from eudai_sql.engines import PoolSizes
from eudai_sql.network_files import require_local
from eudai_sql.search_index import SqlSearchIndex
from eudai_sql.settings import DatabaseSettings
from eudai_sql.storage import SqlStorage, open_storage
from eudai_sql.url import parse_url

__all__ = ["event_bus", "local_event_bus", "search_index", "storage"]

FILE: Final = "eudai.db"


async def storage(ctx: PluginContext) -> SqlStorage:
    """Open the database that the settings name; without one, ``eudai.db`` in the data directory."""
    settings = ctx.settings(DatabaseSettings)
    sizes = PoolSizes(settings.pool_size, settings.pool_overflow, settings.readers)
    if settings.url is None:
        directory = ctx.settings(CoreSettings).data_dir.absolute()
        await ctx.run_blocking(require_local, directory)
        return open_storage(f"sqlite:///{quote(str(directory / FILE))}", sizes)
    url = settings.url.reveal()
    target = parse_url(url)
    if target.dialect == "sqlite":
        await ctx.run_blocking(require_local, target.path.absolute())
    direct_url = None if settings.direct_url is None else settings.direct_url.reveal()
    return open_storage(url, sizes, direct_url=direct_url, pooler=settings.pooler)


def search_index(ctx: PluginContext) -> SqlSearchIndex:
    """Index in the same database as the storage."""
    return SqlSearchIndex(ctx.storage, ctx.run_blocking)


def event_bus(ctx: PluginContext) -> EventBus:
    """Make the bus that reaches every process of the database: on SQLite, that is this one."""
    settings = ctx.settings(DatabaseSettings)
    url = settings.direct_url or settings.url
    target = None if url is None else parse_url(url.reveal())
    if target is None or target.dialect == "sqlite":
        return LocalEventBus()
    # Here and not above: the driver takes a while to import, and the embedded database needs none of it.
    from eudai_sql.notify import NotifyEventBus

    return NotifyEventBus(target)


def local_event_bus(_ctx: PluginContext) -> LocalEventBus:
    """Make a bus that reaches this process only."""
    return LocalEventBus()
