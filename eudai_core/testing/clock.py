"""A clock that stands still until it is told to move."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

__all__ = ["FrozenClock"]

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class FrozenClock:
    """A :class:`eudai_core.contracts.Clock` for tests: time passes only by :meth:`advance`.

    Sleepers wake in the order of their deadlines, those with the same deadline in the order in which they went to
    sleep. Use :meth:`sleeping` to wait until the code under test has gone to sleep, then :meth:`advance`.
    """

    def __init__(self, now: datetime = _EPOCH, monotonic: float = 1000.0) -> None:
        """Start at ``now`` (UTC-aware) with ``monotonic`` seconds on the other dial."""
        self._now = now
        self._monotonic = monotonic
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        """Return the wall-clock time, UTC-aware."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that only rise."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Return once :meth:`advance` has moved the clock ``seconds`` on; at once when that is not more than zero."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), waiter))
        self._tell()
        try:
            await waiter
        finally:
            self._tell()

    def advance(self, seconds: float) -> None:
        """Move the clock on and wake everybody whose time has come; they run when the caller next awaits.

        Raises:
            ValueError: ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock cannot go back by {-seconds} s: advance it by zero or more")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            _, _, waiter = heapq.heappop(self._sleepers)
            if not waiter.done():
                waiter.set_result(None)
        self._tell()

    @property
    def sleepers(self) -> int:
        """How many tasks sleep now."""
        return sum(not waiter.done() for _, _, waiter in self._sleepers)

    async def sleeping(self, count: int = 1, *, exactly: bool = False) -> None:
        """Return once at least ``count`` tasks sleep, or that many and no more."""
        while self.sleepers < count or (exactly and self.sleepers > count):
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
