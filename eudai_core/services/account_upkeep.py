"""Forgetting what accounts leave behind: sessions that ended long ago, failed log-ins that no longer count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import EudaiError
from eudai_core.services.throttling import FORGOTTEN_AFTER

__all__ = ["AccountUpkeep"]

EVERY_S: Final = 3600.0
KEPT: Final = timedelta(days=7)
"""How long a session that ended is kept, so that the reuse of its refresh tokens is still told apart."""
BATCH: Final = 1000
_log = logging.getLogger(__name__)


class AccountUpkeep:
    """Tidies up once an hour; several processes may do so at once."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tidy up until the block ends."""
        task = asyncio.create_task(self._repeat(), name="eudai-account-upkeep")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def tidy(self) -> int:
        """Forget what is old enough; return how many rows that were."""
        now = self._clock.now()
        async with self._storage.unit_of_work() as unit:
            count = await unit.login_failures.forget(before=now - FORGOTTEN_AFTER)
            await unit.commit()
        while True:
            async with self._storage.unit_of_work() as unit:
                gone = await unit.sessions.forget(expired_before=now - KEPT, limit=BATCH)
                await unit.commit()
            count += gone
            if gone < BATCH:
                return count

    async def _repeat(self) -> None:
        while True:
            await self._clock.sleep(EVERY_S)
            try:
                await self.tidy()
            except EudaiError as error:
                _log.info("old sessions were not forgotten, which is tried again: %s", error.detail)
            except Exception:  # whatever it is, the next time may work, and nothing else depends on it
                _log.exception("old sessions were not forgotten, which is tried again")
