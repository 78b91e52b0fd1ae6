"""Telling how far long work is."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Hears of one stage of the work after the other."""

    def begin(self, stage: str, total: int) -> None:
        """A stage begins that has ``total`` steps; the one before it has ended."""
        ...

    def advance(self, steps: int) -> None:
        """So many more steps are done."""
        ...


class Silent:
    """Tells nobody."""

    def begin(self, stage: str, total: int) -> None:
        """Say nothing."""

    def advance(self, steps: int) -> None:
        """Say nothing."""
