"""An open database: its engines, and the tasks that give connections back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from eudai_sql.engines import PoolSizes, postgresql_engine, sqlite_engine
from eudai_sql.url import DatabaseUrl

__all__ = ["Database"]


class Database:
    """Engines for writing and for reading. Nothing is connected before the first statement."""

    def __init__(self, url: DatabaseUrl, sizes: PoolSizes) -> None:
        """Make the engines."""
        self.url = url
        self.dialect = url.dialect
        self._releases: set[asyncio.Task[None]] = set()
        if url.dialect == "postgresql":
            self._engines = (postgresql_engine(url, sizes),)
            snapshot = self._engines[0].execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self.writer, self.reader = self._engines[0], snapshot
        else:
            self.writer = sqlite_engine(url.path, write=True, pool_size=1)
            self.reader = sqlite_engine(url.path, write=False, pool_size=sizes.sqlite_readers)
            self._engines = (self.writer, self.reader)

    writer: AsyncEngine
    reader: AsyncEngine
    _engines: tuple[AsyncEngine, ...]

    async def finish(self, release: Coroutine[Any, Any, None]) -> None:
        """Run ``release`` to its end even when the calling task is cancelled meanwhile."""
        task = asyncio.ensure_future(release)
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)
        await asyncio.shield(task)

    async def aclose(self) -> None:
        """Close every connection."""
        await asyncio.gather(*self._releases, return_exceptions=True)
        for engine in self._engines:
            await engine.dispose()
