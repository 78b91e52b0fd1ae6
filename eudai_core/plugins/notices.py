"""Telling plugins of what happened, without waiting for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from eudai_core.errors import PluginFault
from eudai_core.plugins.calls import CallGuard

__all__ = ["QUEUE_LIMIT", "Notices"]

QUEUE_LIMIT: Final = 1000
"""Notices that may wait for one plugin; further ones are dropped and counted as its faults."""
_log = logging.getLogger(__name__)

_Call = Callable[[], Awaitable[object]]


class Notices:
    """One bounded queue, and one task that empties it in order, for each plugin and hook.

    A plugin that hangs therefore delays its own notices only. Tasks start with the first notice and belong to this
    object.
    """

    def __init__(self, guard: CallGuard, *, capacity: int = QUEUE_LIMIT) -> None:
        """Start nothing yet."""
        self._guard = guard
        self._capacity = capacity
        self._queues: dict[tuple[str, str], asyncio.Queue[tuple[_Call, float | None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    def put(self, owner: str, what: str, call: _Call, limit: float | None) -> None:
        """Queue a call; never blocks and never raises for what the plugin does."""
        if self._closed:
            return
        queue = self._queues.get((owner, what))
        if queue is None:
            queue = self._queues[owner, what] = asyncio.Queue(self._capacity)
            self._tasks.append(asyncio.create_task(self._deliver(owner, what, queue), name=f"notices of {owner}"))
        try:
            queue.put_nowait((call, limit))
        except asyncio.QueueFull:
            self._guard.ledger.faulted(owner, what, "it is too slow: its queue is full")

    async def settled(self) -> None:
        """Return when every queue is empty and every call has ended."""
        await asyncio.gather(*(queue.join() for queue in self._queues.values()))

    async def aclose(self, grace: float = 2.0) -> None:
        """Take no more, give what waits ``grace`` seconds, and end the tasks."""
        self._closed = True
        try:
            async with asyncio.timeout(grace):
                await self.settled()
        except TimeoutError:
            waiting = {owner for (owner, _), queue in self._queues.items() if not queue.empty()}
            _log.warning("Notices were dropped at the end: %s did not take them in time.", ", ".join(sorted(waiting)))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, owner: str, what: str, queue: asyncio.Queue[tuple[_Call, float | None]]) -> None:
        while True:
            call, limit = await queue.get()
            try:
                await self._guard.call(owner, what, call, limit=limit)
            except PluginFault:
                pass  # counted and logged by the guard; nobody waits for the outcome
            finally:
                queue.task_done()
