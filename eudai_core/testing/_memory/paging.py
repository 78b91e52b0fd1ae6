"""Pages of lists: a cursor holds the time and id, or the number, of the last item given."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from eudai_core.errors import FieldError, InvalidInput
from eudai_core.model import Page

__all__ = ["number_page", "page"]

T = TypeVar("T")
Key = tuple[datetime, UUID]


def page(items: Iterable[T], key: Callable[[T], Key], *, cursor: str | None, limit: int) -> Page[T]:
    """Return the ``limit`` items with the highest keys below the cursor's, highest first.

    Raises:
        InvalidInput: the cursor is not one of ours.
    """
    found = sorted(items, key=key, reverse=True)
    if cursor is not None:
        last = _position(cursor)
        found = [item for item in found if key(item) < last]
    if len(found) <= limit:
        return Page(found)
    at, item_id = key(found[limit - 1])
    return Page(found[:limit], _packed(f"{at.isoformat()} {item_id}"))


def number_page(items: Iterable[T], key: Callable[[T], int], *, cursor: str | None, limit: int) -> Page[T]:
    """Return the ``limit`` items with the highest numbers below the cursor's, highest first.

    Raises:
        InvalidInput: the cursor is not one of ours.
    """
    found = sorted(items, key=key, reverse=True)
    if cursor is not None:
        last = _number(cursor)
        found = [item for item in found if key(item) < last]
    if len(found) <= limit:
        return Page(found)
    return Page(found[:limit], _packed(f"{key(found[limit - 1])}"))


def _position(cursor: str) -> Key:
    try:
        at, _, item_id = _unpacked(cursor).partition(" ")
        position = datetime.fromisoformat(at), UUID(item_id)
    except (ValueError, binascii.Error) as error:
        raise _unknown() from error
    if position[0].tzinfo is None:
        raise _unknown()
    return position


def _number(cursor: str) -> int:
    try:
        return int(_unpacked(cursor))
    except (ValueError, binascii.Error) as error:
        raise _unknown() from error


def _packed(position: str) -> str:
    return base64.urlsafe_b64encode(position.encode()).decode()


def _unpacked(cursor: str) -> str:
    return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()


def _unknown() -> InvalidInput:
    fault = FieldError("$.cursor", "is not a cursor that this server gave")
    return InvalidInput("The cursor is not one of this list; ask for the list without it.", errors=(fault,))
