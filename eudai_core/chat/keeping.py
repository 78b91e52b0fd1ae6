"""Storing the context record of an answer while the answer is being made: no reader waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from eudai_core.context import Assembly
from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.errors import EudaiError, StorageUnavailable

__all__ = ["Keeping", "keep_again"]

_log = logging.getLogger(__name__)


class Keeping:
    """The storing of one record. It begins at once; ``then`` is called when it is over, and before ``left`` returns."""

    def __init__(self, storage: Storage, assembly: Assembly, then: Callable[[], None]) -> None:
        self._storage = storage
        self._assembly = assembly
        self._then = then
        self._task = asyncio.create_task(self._keep(), name=f"context of run {assembly.record.run_id}")

    async def left(self) -> Assembly | None:
        """Return what could not be stored, to be stored with the end of the run; None when nothing is left to do."""
        await asyncio.wait({self._task})
        if self._task.cancelled():
            return None
        error = self._task.exception()
        if error is not None:  # a record that is odd, or a plugin's storage: the answer ends as it would without it
            _log.error("the context report of run %s cannot be kept", self._assembly.record.run_id, exc_info=error)
            return None
        return self._task.result()

    async def _keep(self) -> Assembly | None:
        try:
            async with self._storage.unit_of_work() as unit:
                await unit.contexts.put(self._assembly.record, self._assembly.texts)
                await unit.commit()
        except StorageUnavailable:
            return self._assembly
        except EudaiError as error:
            _log.warning("the context report of run %s cannot be kept: %s", self._assembly.record.run_id, error.detail)
        finally:
            self._then()
        return None


async def keep_again(unit: UnitOfWork, assembly: Assembly) -> None:
    """Store a record whose first commit was not confirmed, unless it is there."""
    stored = await unit.contexts.of_message(assembly.record.message_id)
    if stored is None or stored.run_id != assembly.record.run_id:
        await unit.contexts.put(assembly.record, assembly.texts)
