"""From the text of a variable to its value."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from eudai_core.settings.schema import Variable
from eudai_core.settings.secret import REDACTED, Secret

__all__ = ["convert", "expectation", "shown"]

_WORDS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def convert(variable: Variable, text: str) -> Any:
    """Return the value that ``text`` stands for.

    Raises:
        ValueError: it is not what :func:`expectation` says; the message never holds ``text``.
    """
    value = _plain(variable, text)
    return Secret(value) if variable.secret else value


def expectation(variable: Variable) -> str:
    """Say what is expected of a variable, for people."""
    kind = variable.kind
    if isinstance(kind, tuple):
        return "one of " + ", ".join(kind)
    said = {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        Path: "a path",
        tuple: "words separated by commas",
    }[kind]
    return said + _bounds(variable)


def shown(variable: Variable, value: Any) -> str:
    """Return a value as people may see it: secrets redacted, None as ``not set``."""
    if value is None:
        return "not set"
    if variable.secret or isinstance(value, Secret):
        return REDACTED
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


def _bounds(variable: Variable) -> str:
    low, high = variable.minimum, variable.maximum
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" of at least {low:g}"
    return "" if high is None else f" of at most {high:g}"


def _plain(variable: Variable, text: str) -> Any:
    kind = variable.kind
    try:
        value = _word(kind, text) if isinstance(kind, tuple) else _CONVERTERS[kind](text)
    except (ValueError, KeyError, OverflowError):
        raise ValueError(expectation(variable)) from None
    if isinstance(value, int | float) and not _within(variable, value):
        raise ValueError(expectation(variable))
    return value


def _within(variable: Variable, value: float) -> bool:
    low, high = variable.minimum, variable.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def _word(words: tuple[str, ...], text: str) -> str:
    by_lower = {word.lower(): word for word in words}
    return by_lower[text.strip().lower()]


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _path(text: str) -> Path:
    return Path(text.strip()).expanduser()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))


_CONVERTERS: Final[dict[type[Any], Callable[[str], Any]]] = {
    str: lambda text: text.strip(),
    int: int,
    float: _finite,
    bool: lambda text: _WORDS[text.strip().lower()],
    Path: _path,
    tuple: _words,
}
