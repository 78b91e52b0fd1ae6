"""The lifespans of plugins: each in a task of its own, so that none can hurt the server or another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from eudai_core.errors import PluginError

__all__ = ["ENTER_SECONDS", "LEAVE_SECONDS", "Lifespan"]

ENTER_SECONDS: Final = 30.0
LEAVE_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 0.2
_log = logging.getLogger(__name__)


class Lifespan:
    """One plugin's context manager, entered and left in one task.

    Task groups, timeouts and cancel scopes belong to the task that entered them; here that task is never the
    server's, so a task group that breaks in a lifespan ends this lifespan only.
    """

    def __init__(
        self, owner: str, manager: AbstractAsyncContextManager[object], on_end: Callable[[BaseException | None], None]
    ) -> None:
        """Keep the manager; ``on_end`` is called when the lifespan ends without having been asked to."""
        self.owner = owner
        self._manager = manager
        self._on_end = on_end
        self._entered = asyncio.Event()
        self._leave = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        """Return when the context was entered.

        Raises:
            PluginError: it took too long, or ended at once.
            Exception: whatever the plugin raised.
        """
        self._task = task = asyncio.create_task(self._run(), name=f"lifespan of {self.owner}")
        entered = asyncio.create_task(self._entered.wait())
        try:
            await asyncio.wait({task, entered}, timeout=ENTER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._end(task)
            raise
        finally:
            entered.cancel()
        if self._entered.is_set():
            task.add_done_callback(self._ended)
            return
        if not task.done():
            await self._end(task)
            raise PluginError(f"its lifespan was not entered within {ENTER_SECONDS:g} s")
        if task.cancelled():
            raise PluginError("its lifespan cancelled itself")
        task.result()
        raise PluginError("its lifespan ended before it began")

    async def leave(self) -> None:
        """Leave the context.

        Raises:
            PluginError: it took too long.
            Exception: whatever the plugin raised.
        """
        task = self._task
        if task is None or task.done():
            return
        self._leave.set()
        try:
            await asyncio.wait({task}, timeout=LEAVE_SECONDS)
        except asyncio.CancelledError:
            await self._end(task)
            raise
        if not task.done():
            await self._end(task)
            raise PluginError(f"its lifespan was not left within {LEAVE_SECONDS:g} s")
        if not task.cancelled():
            task.result()

    async def _run(self) -> None:
        try:
            async with self._manager:
                self._entered.set()
                await self._leave.wait()
        except SystemExit as error:
            raise PluginError("its lifespan called sys.exit") from error

    async def _end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait({task}, timeout=_GRACE_SECONDS)
        if not task.done():
            _log.warning("%s does not end although it was cancelled.", task.get_name())

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if not self._leave.is_set():
            self._on_end(error)
