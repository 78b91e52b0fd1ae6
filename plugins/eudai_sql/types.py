"""Column types that mean the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect

from eudai_core.errors import InvalidInput

__all__ = ["CleanText", "Json", "UtcDateTime", "Utf8", "big_key", "clean", "dump_json", "load_json"]

# An escaped NUL that is not itself an escaped backslash followed by "u0000".
_ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def clean(text: str) -> str:
    """Return ``text``, which every database can keep.

    Raises:
        InvalidInput: it holds a NUL, which PostgreSQL refuses, or half a surrogate pair, which is not UTF-8.
    """
    if "\x00" in text:
        raise InvalidInput("The text holds a NUL character, which cannot be stored; remove it and try again.")
    if not text.isascii():
        _encode(text)
    return text


def dump_json(value: Any) -> str:
    """Return ``value`` as JSON that every database can keep.

    Raises:
        InvalidInput: a text in it is not storable, see :func:`clean`.
    """
    try:
        text = msgspec.json.encode(value, enc_hook=_plain).decode()
    except UnicodeEncodeError as error:
        raise _not_utf8() from error
    if "\\u0000" in text and _ESCAPED_NUL.search(text):
        raise InvalidInput("The data holds a NUL character, which cannot be stored; remove it and try again.")
    return text


def load_json(text: str | bytes) -> Any:
    """Return the value of a JSON text."""
    return msgspec.json.decode(text)


class CleanText(sa.types.TypeDecorator[str]):
    """Text without a length limit, checked by :func:`clean`."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuse what not every database can keep."""
        return None if value is None else clean(value)


class Utf8(sa.types.TypeDecorator[str]):
    """Long text, kept as its UTF-8 bytes so that hashes of the bytes are hashes of the column."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Encode."""
        return None if value is None else _encode(clean(value))

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Decode."""
        return None if value is None else value.decode()


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware time, kept in UTC with microseconds. SQLite knows no zones and would give naive times back."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn into UTC; a naive time is a fault of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored: use aware times")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Make aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json: Final = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""JSON, binary on PostgreSQL."""

big_key: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A generated 64-bit key; SQLite generates them for the type INTEGER only."""


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _not_utf8() from error


def _not_utf8() -> InvalidInput:
    return InvalidInput("The text holds half a surrogate pair, which is not valid Unicode; correct it and try again.")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be kept as JSON")
