"""One bounded pool of threads for everything that blocks."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

__all__ = ["MAX_THREADS", "BlockingPool"]

T = TypeVar("T")
MAX_THREADS: Final = min(32, (os.cpu_count() or 1) + 4)


class BlockingPool:
    """Threads, started when they are needed."""

    def __init__(self, threads: int = MAX_THREADS) -> None:
        """Allow ``threads`` blocking calls at once; further ones wait."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="eudai-blocking")

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Run ``function(*args)`` in a thread, with the caller's context variables.

        A cancelled caller returns at once; the thread finishes what it does, and nobody sees the result.
        """
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, function, *args)

    def close(self) -> None:
        """Drop what waits; threads end with what they do."""
        self._pool.shutdown(wait=False, cancel_futures=True)
