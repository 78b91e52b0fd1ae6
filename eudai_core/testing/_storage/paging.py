"""What lists in pages have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import InvalidInput
from eudai_core.model import Page
from eudai_core.testing._storage.keeping import must, must_equal, refuses
from eudai_core.testing._storage.rows import Rows

__all__ = ["must_page", "must_refuse_cursors"]

_NOT_OURS = ("", "x", "é", "AAAA", "A" * 33, "~" * 500, "' or 1=1 --", "eyJhIjoxfQ==", "\u202e\n")


ItemT = TypeVar("ItemT")
Listing = Callable[[UnitOfWork, str | None, int], Awaitable[Page[ItemT]]]
"""A list: in a unit of work, after a cursor, up to a limit."""


def _id(item: Any) -> object:
    return item.id


async def must_page(
    rows: Rows, listed: Listing[ItemT], expected: Sequence[object], *, name: Callable[[Any], object] = _id
) -> None:
    """Check that a list gives ``expected`` ids in pages of every size, without loss or repeats.

    ``name`` tells what stands for an item that has no id.
    """
    for limit in range(1, len(expected) + 2):
        found: list[object] = []
        cursor: str | None = None
        async with rows.reading() as work:
            while True:
                page = await listed(work, cursor, limit)
                found += [name(item) for item in page.items]
                must(len(page.items) <= limit, "a page has no more than `limit` items")
                must(len(found) <= len(expected), "pages do not repeat items")
                if page.next is None:
                    break
                must(len(page.items) == limit, "a page that others follow is full")
                cursor = page.next
        must_equal(found, expected, f"pages of {limit} lose nothing and repeat nothing, also when times are equal")
        must(len(page.items) > 0, "the last page is not empty: `next` is None when nothing follows")


async def must_refuse_cursors(rows: Rows, listed: Listing[ItemT]) -> None:
    """Check that what is no cursor is InvalidInput, which names the field."""
    for cursor in _NOT_OURS:
        async with rows.reading() as work:
            with refuses(InvalidInput, f"the cursor {cursor[:20]!r} is InvalidInput"):
                try:
                    await listed(work, cursor, 2)
                except InvalidInput as error:
                    must_equal([field.path for field in error.errors], ["$.cursor"], "the error names `$.cursor`")
                    raise
