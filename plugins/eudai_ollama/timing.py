"""Time limits by the server's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from eudai_core.contracts import Clock

__all__ = ["cancelled", "within"]

T = TypeVar("T")


async def within(clock: Clock, seconds: float, work: Awaitable[T]) -> T:
    """Return what ``work`` returns, and cancel it after ``seconds``.

    Raises:
        TimeoutError: the time is over.
    """
    task = asyncio.ensure_future(work)
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        await cancelled(task, alarm)


async def cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and return when they have ended; their results and errors are dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
