"""Telling an outage in the log: once when it begins and once when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Outage"]

_log: Final = logging.getLogger(__name__)
_QUIET_S: Final = 2.0
"""Seconds without a failure before an outage is over, so that one of many parts is told as one."""


class Outage:
    """Hears of every failure and every success, and writes down what an operator wants to know."""

    def __init__(self, what: str, now: Callable[[], float] = time.monotonic) -> None:
        """Watch ``what``, which the log calls it by; ``now`` tells the time in seconds."""
        self._what = what
        self._now = now
        self._reasons: set[str] = set()
        self._since = self._last = 0.0

    def failed(self, reason: str) -> None:
        """Hear of a failure; each reason is told once an outage."""
        self._last = self._now()
        if not self._reasons:
            self._since = self._last
        if reason not in self._reasons:
            self._reasons.add(reason)
            _log.warning("%s cannot be used: %s; it is tried again", self._what, reason)

    def answered(self) -> None:
        """Hear of a success."""
        if self._reasons and self._now() - self._last >= _QUIET_S:
            self._reasons.clear()
            _log.warning("%s can be used again; it was away for %.0f s", self._what, self._last - self._since)
