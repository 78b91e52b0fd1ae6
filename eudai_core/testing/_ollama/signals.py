"""Waiting for something to become true, and gates that hold work until they are released."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

__all__ = ["Gates", "Signal"]


class Signal:
    """Wakes everybody who waits for a condition, each time that something changed."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Say that something changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once ``condition()`` is true; it is looked at now and after each change."""
        while not condition():
            await self._changed.wait()


class Gates:
    """Named places where work waits while they are held. A gate that was never held is open."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._standing: Counter[str] = Counter()
        self._signal = Signal()

    def hold(self, name: str) -> None:
        """Let nobody pass from now on."""
        self._held.add(name)

    def release(self, name: str) -> None:
        """Let everybody pass from now on."""
        self._held.discard(name)
        self._signal.notify()

    def release_all(self) -> None:
        """Open every gate."""
        self._held.clear()
        self._signal.notify()

    async def passing(self, name: str) -> None:
        """Return when the gate is open; cancelling leaves the queue."""
        if name not in self._held:
            return
        self._standing[name] += 1
        self._signal.notify()
        try:
            await self._signal.until(lambda: name not in self._held)
        finally:
            self._standing[name] -= 1
            self._signal.notify()

    async def standing(self, name: str, count: int = 1) -> None:
        """Return once ``count`` requests or more wait at the gate."""
        await self._signal.until(lambda: self._standing[name] >= count)
