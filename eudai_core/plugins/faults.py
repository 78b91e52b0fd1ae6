"""Counting what plugins do wrong, and leaving out for a while what does it too often."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from eudai_core.contracts import Clock

__all__ = ["BLOCKED", "FAULT_LIMIT", "PAUSE_SECONDS", "FaultLedger"]

FAULT_LIMIT: Final = 5
"""Consecutive faults of one plugin in one hook or contract call after which it is quarantined."""
PAUSE_SECONDS: Final = 60.0
"""How long a quarantine lasts before one call is tried again."""
BLOCKED: Final = "blocked"
"""The counter of steps that held up the event loop."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Circuit:
    """One (plugin, call): ``paused_until`` is None while it is called normally."""

    consecutive: int = 0
    paused_until: float | None = None
    reason: str = ""


class FaultLedger:
    """A circuit breaker and counters for every pair of a plugin and a hook or contract call."""

    def __init__(self, clock: Clock, *, limit: int = FAULT_LIMIT, pause: float = PAUSE_SECONDS) -> None:
        """Start with clean circuits."""
        self._clock = clock
        self._limit = limit
        self._pause = pause
        self._circuits: dict[tuple[str, str], _Circuit] = {}
        self._counts: dict[str, Counter[str]] = {}

    def admits(self, owner: str, what: str) -> bool:
        """Tell whether to call; after the pause exactly one call is let through as a trial."""
        circuit = self._circuits.get((owner, what))
        if circuit is None or circuit.paused_until is None:
            return True
        now = self._clock.monotonic()
        if now < circuit.paused_until:
            return False
        circuit.paused_until = now + self._pause
        return True

    def succeeded(self, owner: str, what: str) -> None:
        """Note a call that went well: it ends a row of faults and a quarantine."""
        circuit = self._circuits.get((owner, what))
        if circuit is None or circuit.consecutive == 0:
            return
        if circuit.paused_until is not None:
            _log.info("Plugin %s answers %s again.", owner, what)
        circuit.consecutive, circuit.paused_until, circuit.reason = 0, None, ""

    def abandoned(self, owner: str, what: str) -> None:
        """Note a call whose caller went away: it proves nothing, so a trial may be made anew."""
        circuit = self._circuits.get((owner, what))
        if circuit is not None and circuit.paused_until is not None:
            circuit.paused_until = self._clock.monotonic()

    def faulted(self, owner: str, what: str, reason: str) -> None:
        """Count a fault, and quarantine the pair when it was one too many."""
        self._counts.setdefault(owner, Counter())[what] += 1
        circuit = self._circuits.setdefault((owner, what), _Circuit())
        circuit.consecutive += 1
        circuit.reason = reason
        if circuit.consecutive >= self._limit:
            if circuit.paused_until is None:
                _log.error(
                    "Plugin %s is quarantined: %s failed %d times in a row, at last: %s.",
                    owner,
                    what,
                    circuit.consecutive,
                    reason,
                )
            circuit.paused_until = self._clock.monotonic() + self._pause

    def blocked(self, owner: str, what: str, seconds: float) -> None:
        """Count a step that held up the event loop, and say whose it was."""
        self._counts.setdefault(owner, Counter())[BLOCKED] += 1
        _log.warning(
            "Plugin %s held up the whole server for %.0f ms in %s: blocking work belongs into run_blocking.",
            owner,
            seconds * 1000,
            what,
        )

    def degraded(self, owner: str) -> str:
        """Return why a plugin is quarantined in some of its calls, or an empty text."""
        return "; ".join(
            f"{what} failed {circuit.consecutive} times in a row: {circuit.reason}"
            for (name, what), circuit in self._circuits.items()
            if name == owner and circuit.paused_until is not None
        )

    def counts(self, owner: str) -> Mapping[str, int]:
        """Return the faults of a plugin since the start, by hook or contract call."""
        return dict(self._counts.get(owner, ()))
