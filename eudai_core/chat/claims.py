"""Taking runs out of the queue, and putting back those that were not begun."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import EudaiError
from eudai_core.model import Run
from eudai_core.services.models import Models

__all__ = ["Claims"]

CLAIM_LIMIT: Final = 16
_log = logging.getLogger(__name__)


class Claims:
    """The queue as this process sees it: the runs that have a place now, whoever asked for them."""

    def __init__(self, storage: Storage, models: Models, clock: Clock, instance: str, *, lease_s: float) -> None:
        self._storage = storage
        self._models = models
        self._clock = clock
        self._instance: Final = instance
        self._lease: Final = timedelta(seconds=lease_s)
        self._more = False

    async def take(self, *, look_first: bool) -> Sequence[Run]:
        """Claim what may start; ``look_first`` is cheaper when the queue may be empty. It is not after a claim."""
        if look_first and not self._more:
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                if not await unit.runs.queued():
                    return ()
        capacity = {(model.backend, model.host): model.capacity for model in await self._models.available()}
        now = self._clock.now()
        async with self._storage.unit_of_work() as unit:
            runs = await unit.runs.claim(
                owner=self._instance, now=now, until=now + self._lease, capacity=capacity, limit=CLAIM_LIMIT
            )
            await unit.commit()
        self._more = bool(runs)
        return runs

    async def put_back(self, runs: Iterable[Run]) -> None:
        """Put runs that were not begun back at their old places; what is not possible now, their leases end."""
        for run in runs:
            try:
                async with self._storage.unit_of_work() as unit:
                    await unit.runs.release(run.id, owner=self._instance)
                    await unit.commit()
            except EudaiError as error:
                _log.warning("run %s cannot be put back into the queue: %s", run.id, error.detail)
