"""An open database: its engines, and the tasks that take connections out of their pools and give them back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any, Final, TypeVar
from weakref import WeakSet

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from eudai_sql.engines import AUTOCOMMIT, PoolSizes, postgresql_engine, sqlite_engine
from eudai_sql.outage import Outage
from eudai_sql.turns import Turns
from eudai_sql.url import DatabaseUrl

__all__ = ["Database"]

T = TypeVar("T")
_THREAD_END_S: Final = 2.0


class Database:
    """Engines for writing and for reading. Nothing is connected before the first statement."""

    def __init__(self, url: DatabaseUrl, sizes: PoolSizes, *, pooler: bool = False) -> None:
        """Make the engines; ``pooler`` says that the URL leads through one in transaction mode."""
        self.url = url
        self.dialect = url.dialect
        self.outage = Outage(url.description)
        self.turns = Turns(sizes.kept + sizes.overflow)
        """Whose turn it is on PostgreSQL; on SQLite the pools see to that."""
        self._tasks: set[asyncio.Future[Any]] = set()
        self._threads: WeakSet[Thread] = WeakSet()
        if url.dialect == "postgresql":
            self._engines = (postgresql_engine(url, sizes, pooler=pooler),)
            self._writer = self._engines[0]
            self._snapshot = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")
        else:
            self._writer = sqlite_engine(url.path, write=True, pool_size=1, threads=self._threads)
            self._snapshot = sqlite_engine(url.path, write=False, pool_size=sizes.sqlite_readers, threads=self._threads)
            self._reader = self._snapshot.execution_options(**{AUTOCOMMIT: True})
            self._engines = (self._writer, self._snapshot)

    _writer: AsyncEngine
    _snapshot: AsyncEngine
    _reader: AsyncEngine
    _engines: tuple[AsyncEngine, ...]

    def answered(self) -> None:
        """Hear of a success."""
        self.turns.answered()
        self.outage.answered()

    def engine(self, *, readonly: bool, snapshot: bool) -> AsyncEngine:
        """Return what writes, what reads one state of the database, or what reads without a transaction."""
        if not readonly:
            return self._writer
        return self._snapshot if snapshot else self._reader

    async def connect(self, engine: AsyncEngine) -> AsyncConnection:
        """Return a connection out of ``engine``'s pool.

        A task that is cancelled meanwhile does not interrupt the connecting itself: neither driver can be stopped in
        the middle of it without leaving a connection that nobody closes. It is given back when it is there.
        """
        connecting = self._keep(asyncio.ensure_future(engine.connect()))
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(self._give_back)
            raise

    async def whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to its end, and only then be cancelled.

        For what is short and must not be cut in two: the SQLite driver's thread goes on with a statement whose caller
        is gone, and nobody would end the transaction that it began.
        """
        task = self._keep(asyncio.ensure_future(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            while not task.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
            raise

    async def finish(self, release: Coroutine[Any, Any, None]) -> None:
        """Run ``release`` to its end even when the calling task is cancelled meanwhile."""
        await asyncio.shield(self._keep(asyncio.ensure_future(release)))

    async def aclose(self) -> None:
        """Close every connection."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        for engine in self._engines:
            await engine.dispose()
        # A connection that was given up ends in its own time, and its thread needs this event loop to say so.
        for thread in list(self._threads):
            await asyncio.to_thread(thread.join, _THREAD_END_S)

    def _give_back(self, connecting: asyncio.Future[AsyncConnection]) -> None:
        if not connecting.cancelled() and connecting.exception() is None:
            self._keep(asyncio.ensure_future(connecting.result().close()))

    def _keep(self, task: asyncio.Future[T]) -> asyncio.Future[T]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
