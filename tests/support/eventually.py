"""Waiting for what another process does, where it cannot tell by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["eventually"]

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T | None]], *, within: float = 30.0) -> T:
    """Return what ``look`` finds, looking again and again; fails after ``within`` seconds."""
    async with asyncio.timeout(within):
        while not (found := await look()):  # noqa: ASYNC110 another process: there is no event to wait for
            await asyncio.sleep(0.02)  # another process: there is nothing to wait on
        return found
