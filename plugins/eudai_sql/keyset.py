"""Cursors: where a list goes on, by the time and id, or the number, of the last item given (keyset pagination)."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import FieldError, InvalidInput
from eudai_core.model import Page
from eudai_sql.types import UtcDateTime

__all__ = ["after", "after_number", "number_page", "number_position", "page", "position"]

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LAYOUT: Final = struct.Struct(">q16s")
_NUMBER: Final = struct.Struct(">i")


def after(at: sa.ColumnElement[Any], key: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return the condition for what follows the cursor in a list with the newest first."""
    last = sa.tuple_(sa.bindparam("cursor_at", type_=UtcDateTime()), sa.bindparam("cursor_id", type_=sa.Uuid()))
    return sa.tuple_(at, key) < last


def position(cursor: str) -> dict[str, Any]:
    """Return the parameters of :func:`after`.

    Raises:
        InvalidInput: the cursor is not one of ours.
    """
    try:
        microseconds, key = _LAYOUT.unpack(_unpacked(cursor))
        return {"cursor_at": _EPOCH + microseconds * _MICROSECOND, "cursor_id": UUID(bytes=key)}
    except (UnicodeEncodeError, binascii.Error, struct.error, OverflowError) as error:
        raise _unknown() from error


def page(items: Sequence[T], limit: int, key: Callable[[T], tuple[datetime, UUID]]) -> Page[T]:
    """Return the first ``limit`` of ``items``, of which one more was asked for, and the cursor of what follows."""
    if len(items) <= limit:
        return Page(items)
    at, last = key(items[limit - 1])
    return Page(items[:limit], _packed(_LAYOUT.pack((at - _EPOCH) // _MICROSECOND, last.bytes)))


def after_number(number: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return the condition for what follows the cursor in a list with the highest number first."""
    return number < sa.bindparam("cursor_number", type_=sa.Integer())


def number_position(cursor: str) -> dict[str, Any]:
    """Return the parameters of :func:`after_number`.

    Raises:
        InvalidInput: the cursor is not one of ours.
    """
    try:
        (number,) = _NUMBER.unpack(_unpacked(cursor))
    except (UnicodeEncodeError, binascii.Error, struct.error) as error:
        raise _unknown() from error
    return {"cursor_number": number}


def number_page(items: Sequence[T], limit: int, key: Callable[[T], int]) -> Page[T]:
    """Return the first ``limit`` of ``items``, of which one more was asked for, and the cursor of what follows."""
    if len(items) <= limit:
        return Page(items)
    return Page(items[:limit], _packed(_NUMBER.pack(key(items[limit - 1]))))


def _packed(position: bytes) -> str:
    return base64.b64encode(position, altchars=b"-_").decode("ascii")


def _unpacked(cursor: str) -> bytes:
    return base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)


def _unknown() -> InvalidInput:
    fault = FieldError("$.cursor", "is not a cursor that this server gave")
    return InvalidInput("The cursor is not one of this list; ask for the list without it.", errors=(fault,))
