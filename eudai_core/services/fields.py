"""Checks of what callers hand in, and what they have in common."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from eudai_core.errors import FieldError, InvalidInput, StaleVersion

__all__ = [
    "MAX_PAGE",
    "MODEL_LENGTH",
    "check_limit",
    "check_model",
    "check_number",
    "check_text",
    "invalid",
    "storable",
    "upon_newest",
]

T = TypeVar("T")
MAX_PAGE: Final = 200
MODEL_LENGTH: Final = 200
"""Code points that the name of a model may have."""
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_TRIES: Final = 10


def invalid(path: str, problem: str) -> InvalidInput:
    """Return the error that says what is wrong with the field at ``path``, such as ``$.name``."""
    return InvalidInput(f"{path} {problem}.", errors=(FieldError(path, problem),))


def check_text(path: str, value: str, *, longest: int, shortest: int = 0) -> str:
    """Return ``value`` when it can be stored, displayed and sent: bounded, no NUL, no lone surrogates.

    Lengths are in code points.

    Raises:
        InvalidInput: it is not; ``path`` names the field.
    """
    problem = _problem(value, longest, shortest)
    if problem:
        raise invalid(path, problem)
    return value


def check_model(path: str, value: str | None) -> str | None:
    """Return the name of a model, or None where there is none or an empty one.

    Raises:
        InvalidInput: no model can have this name.
    """
    return check_text(path, value, longest=MODEL_LENGTH) or None if value is not None else None


def check_number(path: str, value: int, *, least: int, most: int) -> int:
    """Return a number within its bounds.

    Raises:
        InvalidInput: it is outside of them.
    """
    if not least <= value <= most:
        raise invalid(path, f"must be between {least:,} and {most:,}")
    return value


def check_limit(limit: int) -> int:
    """Return a page size.

    Raises:
        InvalidInput: it is not between 1 and 200.
    """
    return check_number("$.limit", limit, least=1, most=MAX_PAGE)


def storable(text: str) -> str:
    """Return a model's text with U+FFFD for what no database keeps: NUL and lone surrogates."""
    return _UNSTORABLE.sub("\ufffd", text)


async def upon_newest(expected_version: int | None, change: Callable[[], Awaitable[T]]) -> T:
    """Make a change that reads an object and writes it again under the version that it read.

    When somebody else was faster it is made once more upon what is there then, unless the caller expected a version.

    Raises:
        StaleVersion: the object is not at the version that was expected; or others were faster again and again.
    """
    for _ in range(_TRIES - 1):
        try:
            return await change()
        except StaleVersion:
            if expected_version is not None:
                raise
    return await change()


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
