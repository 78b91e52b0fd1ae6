"""What the plugin's late names point to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

from eudai_core.contracts import PluginContext
from eudai_core.errors import ConfigError
from eudai_core.settings import CoreSettings
from eudai_sql.bus import LocalEventBus
from eudai_sql.engines import PoolSizes
from eudai_sql.search_index import SqlSearchIndex
from eudai_sql.settings import DatabaseSettings
from eudai_sql.storage import SqlStorage, open_storage

__all__ = ["event_bus", "search_index", "storage"]

FILE: Final = "eudai.db"


async def storage(ctx: PluginContext) -> SqlStorage:
    """Open the database that the settings name; without one, ``eudai.db`` in the data directory."""
    settings = ctx.settings(DatabaseSettings)
    sizes = PoolSizes(settings.pool_size, settings.pool_overflow, settings.readers)
    if settings.url is not None:
        direct_url = None if settings.direct_url is None else settings.direct_url.reveal()
        return open_storage(settings.url.reveal(), sizes, direct_url=direct_url)
    directory = ctx.settings(CoreSettings).data_dir.absolute()
    await ctx.run_blocking(_make_private, directory)
    return open_storage(f"sqlite:///{quote(str(directory / FILE))}", sizes)


def search_index(ctx: PluginContext) -> SqlSearchIndex:
    """Index in the same database as the storage."""
    return SqlSearchIndex(ctx.storage, ctx.run_blocking)


def event_bus(ctx: PluginContext) -> LocalEventBus:
    """Make a bus."""
    return LocalEventBus()


def _make_private(directory: Path) -> None:
    # What people told the server is there: others on the machine have no business in it.
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The file too, for a directory that was there and is open to others; SQLite gives its WAL the same mode.
        os.close(os.open(directory / FILE, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigError(
            f"The data directory {directory} cannot be used ({error.strerror}): make it writable, or choose another "
            "one with EUDAI_DATA_DIR or --data-dir."
        ) from error
