"""What is done again and again while the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from eudai_core.contracts import Clock
from eudai_core.errors import EudaiError

__all__ = ["Loops", "Step"]

Step = Callable[[], Awaitable[object]]
_log = logging.getLogger(__name__)


class Loops:
    """Steps that are repeated and outlive every fault. A fault is logged when it begins and when it is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._failing: set[str] = set()

    def every(self, seconds: float, name: str, step: Step) -> None:
        """Repeat a step from now on, for the first time after ``seconds``."""
        self._tasks.append(asyncio.create_task(self._repeat(seconds, name, step), name=f"eudai {name}"))

    async def safely(self, name: str, step: Step) -> None:
        """Do a step; whatever it raises is logged."""
        try:
            await step()
        except EudaiError as error:
            if name not in self._failing:
                _log.warning("%s: %s: %s It is tried again.", name, error.title, error.detail)
            self._failing.add(name)
        except Exception:  # whatever it is, the next step may work
            if name not in self._failing:
                _log.exception("%s failed and is tried again", name)
            self._failing.add(name)
        else:
            if name in self._failing:
                _log.warning("%s works again", name)
            self._failing.discard(name)

    async def aclose(self) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, seconds: float, name: str, step: Step) -> None:
        while True:
            await self._clock.sleep(seconds)
            await self.safely(name, step)
