"""The time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

__all__ = ["Clock"]


class Clock(Protocol):
    """Where all times come from, so that tests can set and move them."""

    def now(self) -> datetime:
        """Return the wall-clock time, UTC-aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only rise."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return ``seconds`` later by this clock."""
        ...
