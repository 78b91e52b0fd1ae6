"""Iterators that are closed when their reader goes, and blocking ones that are read in threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

__all__ = ["closed_after", "in_thread"]

T = TypeVar("T")
_END: Final[Any] = object()


@asynccontextmanager
async def closed_after(values: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T]]:
    """Give ``values``, and close it at the end of the block, if it is a generator: nothing of it stays open."""
    try:
        yield values
    finally:
        if isinstance(values, AsyncGenerator):
            await values.aclose()


async def in_thread(values: Iterator[T]) -> AsyncGenerator[T]:
    """Give what a blocking iterator gives."""
    while (value := await asyncio.to_thread(next, values, _END)) is not _END:
        yield value
