"""Checks of the texts that callers hand in."""

from __future__ import annotations

import re
from typing import Final

from eudai_core.errors import FieldError, InvalidInput

__all__ = ["check_limit", "check_text", "storable"]

MAX_PAGE: Final = 200
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def check_text(path: str, value: str, *, longest: int, shortest: int = 0) -> str:
    """Return ``value`` when it can be stored, displayed and sent: bounded, no NUL, no lone surrogates.

    Lengths are in code points.

    Raises:
        InvalidInput: it is not; ``path`` names the field.
    """
    problem = _problem(value, longest, shortest)
    if problem:
        raise InvalidInput(f"{path} {problem}.", errors=(FieldError(path, problem),))
    return value


def _problem(value: str, longest: int, shortest: int) -> str | None:
    if len(value) > longest:
        return f"is longer than {longest} characters"
    if len(value.strip()) < shortest:
        return "must not be empty" if shortest == 1 else f"needs at least {shortest} characters"
    if "\0" in value:
        return "holds a NUL character, which cannot be stored"
    if any("\ud800" <= character <= "\udfff" for character in value):
        return "holds a lone surrogate, which is no valid Unicode text"
    return None


def check_limit(limit: int) -> int:
    """Return a page size.

    Raises:
        InvalidInput: it is not between 1 and 200.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"limit must be between 1 and {MAX_PAGE}.", errors=(FieldError("$.limit", "out of range"),))
    return limit


def storable(text: str) -> str:
    """Return a model's text with U+FFFD for what no database keeps: NUL and lone surrogates."""
    return _UNSTORABLE.sub("\ufffd", text)
