"""Forgetting the events of answers that ended long ago; their messages stay."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from eudai_core.contracts import Clock, Storage

__all__ = ["TRIM_S", "EventTrimmer"]

TRIM_S: Final = 60.0
"""How often the log is trimmed."""
BATCH: Final = 25
"""Runs that are trimmed in one transaction, unless their events are too many for one."""
BATCHES: Final = 80
"""Transactions of one step: a long backlog is worked off little by little."""


class EventTrimmer:
    """Keeps the event log to what readers that come back may still need. Any number of processes may do it at once."""

    def __init__(self, storage: Storage, clock: Clock, *, hours: int) -> None:
        self._storage = storage
        self._clock = clock
        self._kept: Final = timedelta(hours=hours)

    async def step(self) -> int:
        """Forget the events of runs that ended longer ago than they are kept; return of how many runs.

        A run that takes several transactions is counted in each.
        """
        before = self._clock.now() - self._kept
        total = 0
        for _ in range(BATCHES):
            async with self._storage.unit_of_work() as unit:
                count = await unit.events.trim(ended_before=before, limit=BATCH)
                await unit.commit()
            total += count
            if not count:
                break
        return total
