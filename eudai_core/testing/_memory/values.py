"""Values as a database gives them back: copies, with times in UTC and without text that not every database keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar, cast
from uuid import UUID

from eudai_core.errors import Conflict, InvalidInput, NotFound

__all__ = ["insert", "kept", "required"]

K = TypeVar("K")
T = TypeVar("T")


def kept(value: T) -> T:
    """Return a copy of a value that nobody else can change.

    Raises:
        InvalidInput: a text in it holds a NUL or half a surrogate pair.
        ValueError: a time has no zone.
    """
    return cast("T", _kept(value))


def required(rows: Mapping[K, T], key: K, what: str) -> T:
    """Return a row; raises NotFound when it is not there."""
    if key not in rows:
        raise NotFound(f"There is no {what} {key}.")
    return rows[key]


def insert(rows: dict[K, T], key: K, row: T, what: str) -> None:
    """Add a row; raises Conflict when there is one of this key."""
    if key in rows:
        raise Conflict(f"There is such a {what} already.")
    rows[key] = kept(row)


def _kept(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored: use aware times")
        return value.astimezone(UTC)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{part.name: _kept(getattr(value, part.name)) for part in fields(value)})
    if isinstance(value, Mapping):
        return _json(value)
    if isinstance(value, str) and not isinstance(value, Enum):
        return _text(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(_kept(item) for item in value)
    return value


def _json(value: Any) -> Any:
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, UUID):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_text(key): _json(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_json(item) for item in value]
    raise TypeError(f"{type(value).__name__} cannot be kept as JSON")


def _text(text: str) -> str:
    if "\0" in text:
        raise InvalidInput("The text holds a NUL character, which cannot be stored; remove it and try again.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("The text holds half a surrogate pair; correct it and try again.") from error
    return text
