"""Noticing a model that Ollama has wedged, and curing it (ollama issue 17131; ollama.md, section 6).

When a client closes between two pieces, Ollama can lose the slot of that answer for good. With all slots lost, every
later request to the model waits without a byte while everything else works. Unloading the model cures it.

From outside a wedged model looks like one that is slow to read its prompt. It is taken for wedged when it was loaded
already, when no answer of ours comes from it, and when it was quiet for longer than ``patience`` seconds and for
longer than three times its slowest first piece so far.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from eudai_core.contracts import Clock
from eudai_ollama.client import OllamaClient

__all__ = ["Watchdog"]

_SLACK = 3.0


class Watchdog:
    """Knows for each model when it last did something for us."""

    def __init__(self, client: OllamaClient, clock: Clock, patience: float) -> None:
        """Wait ``patience`` seconds; 0 switches the watchdog off."""
        self._client = client
        self._clock = clock
        self._patience = patience
        self._producing: Counter[str] = Counter()
        self._active_at: dict[str, float] = {}
        self._unloaded_at: dict[str, float] = {}
        self._slowest: dict[str, float] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @contextmanager
    def producing(self, model: str, since: float) -> Iterator[None]:
        """Note that an answer asked for at ``since`` comes from the model, until the block is left."""
        now = self._clock.monotonic()
        self._slowest[model] = max(self._slowest.get(model, 0.0), now - since)
        self._producing[model] += 1
        try:
            yield
        finally:
            self._producing[model] -= 1
            self._active_at[model] = self._clock.monotonic()

    def remaining(self, model: str, since: float) -> float | None:
        """Return how long a request of ``since`` should still wait in good faith; None: for ever, 0: no longer."""
        if not self._patience:
            return None
        patience = max(self._patience, _SLACK * self._slowest.get(model, 0.0))
        if self._producing[model]:
            return patience
        quiet_since = max(since, self._active_at.get(model, since))
        return max(0.0, quiet_since + patience - self._clock.monotonic())

    async def cure(self, model: str, since: float) -> None:
        """Unload the model, unless that was done after ``since`` for another request.

        Raises:
            BackendError: Ollama refuses, or cannot be reached.
        """
        async with self._locks[model]:
            if self._unloaded_at.get(model, since) <= since:
                await self._client.unload(model)
                self._unloaded_at[model] = self._clock.monotonic()
