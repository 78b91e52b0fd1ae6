"""Waiting for the ends of runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

__all__ = ["Waiters"]


class Waiters:
    """Those who wait for runs. The end of a run of another process wakes nobody: look again at times."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, set[asyncio.Event]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @contextmanager
    def of(self, run_id: UUID) -> Iterator[asyncio.Event]:
        """Give an event that is set when a run of this process ends; nothing of it is left behind."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(run_id, set())
        waiting.add(event)
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(run_id, None)

    def ended(self, run_id: UUID) -> None:
        """Wake those who wait for a run."""
        for event in self._waiting.get(run_id, ()):
            event.set()
