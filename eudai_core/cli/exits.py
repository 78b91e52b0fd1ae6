"""Exit codes, the same for every command."""

from __future__ import annotations

from typing import Final

from eudai_core.errors import (
    BackendUnavailable,
    ConfigError,
    EudaiError,
    StorageUnavailable,
    TooManyRequests,
    Unauthorized,
)

__all__ = ["AUTHENTICATION", "FAILED", "NOT_CONFIGURED", "OK", "RATE_LIMITED", "UNREACHABLE", "USAGE", "exit_code"]

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_CONFIGURED: Final = 3
AUTHENTICATION: Final = 4
UNREACHABLE: Final = 5
RATE_LIMITED: Final = 6

_CODES: Final[tuple[tuple[type[EudaiError], int], ...]] = (
    (ConfigError, NOT_CONFIGURED),
    (Unauthorized, AUTHENTICATION),
    (BackendUnavailable, UNREACHABLE),
    (StorageUnavailable, UNREACHABLE),
    (TooManyRequests, RATE_LIMITED),
)


def exit_code(error: EudaiError) -> int:
    """Return the exit code that tells scripts of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
