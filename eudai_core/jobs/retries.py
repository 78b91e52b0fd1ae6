"""When a job that failed is tried again, and what is kept of its error."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from eudai_core.errors import EudaiError

__all__ = ["TRIES", "back_off", "reason_of"]

TRIES: Final = 5
"""How often a job is tried before it is given up."""
_FIRST_SECONDS: Final = 1.0
_FACTOR: Final = 4.0
_LONGEST_SECONDS: Final = 3600.0


def back_off(tries: int, error: BaseException) -> timedelta:
    """Return how long to wait after that many tries: 1, 4, 16, 64 s, or what the error asks for, an hour at most."""
    asked = error.retry_after if isinstance(error, EudaiError) else None
    seconds = _FIRST_SECONDS * _FACTOR ** (max(tries, 1) - 1) if asked is None else asked
    return timedelta(seconds=min(max(seconds, 0.0), _LONGEST_SECONDS))


def reason_of(error: BaseException) -> str:
    """Return what people may read: the detail of an error of ours, and only the type of any other."""
    if isinstance(error, EudaiError):
        return error.detail
    return f"An internal error ended it ({type(error).__name__}); the server's log tells more."
