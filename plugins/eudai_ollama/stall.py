"""Closing an answer that has stopped coming."""

from __future__ import annotations

import asyncio

import aiohttp

from eudai_core.contracts import Clock
from eudai_ollama.timing import cancelled

__all__ = ["StallGuard"]


class StallGuard:
    """Closes a response when one read of it takes longer than ``limit`` seconds.

    Set ``reading_since`` to the clock's time before each read and to None after it: that is all it costs a piece. The
    time during which the reader does something else does not count.
    """

    def __init__(self, clock: Clock, limit: float, response: aiohttp.ClientResponse) -> None:
        self._clock = clock
        self._limit = limit
        self._response = response
        self.reading_since: float | None = None
        self.stalled = False
        self._task = asyncio.create_task(self._watch())

    async def aclose(self) -> None:
        """Stop watching."""
        await cancelled(self._task)

    async def _watch(self) -> None:
        while (left := self._left()) > 0:
            await self._clock.sleep(left)
        self.stalled = True
        self._response.close()

    def _left(self) -> float:
        since = self.reading_since
        return self._limit if since is None else since + self._limit - self._clock.monotonic()
