"""A plugin context for tests that build a plugin's objects without a host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from eudai_core.clock import SystemClock
from eudai_core.contracts import BlobStore, Clock, JobQueue, LLMBackend, PluginContext, SearchIndex, Storage

__all__ = ["SimpleContext"]

T = TypeVar("T")


class SimpleContext(PluginContext):
    """Gives the settings sections and the clock that it was made with, threads, and nothing else."""

    def __init__(self, *sections: Any, clock: Clock | None = None) -> None:
        self._sections = {type(section): section for section in sections}
        self._clock = clock or SystemClock()

    def settings(self, schema: type[T]) -> T:
        return cast("T", self._sections[schema])

    async def run_blocking(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.to_thread(function, *args)

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def storage(self) -> Storage:
        raise AssertionError("no storage here")

    @property
    def blobs(self) -> BlobStore:
        raise AssertionError("no blob store here")

    @property
    def search(self) -> SearchIndex:
        raise AssertionError("no search index here")

    @property
    def backends(self) -> Mapping[str, LLMBackend]:
        return {}

    @property
    def jobs(self) -> JobQueue:
        raise AssertionError("no jobs here")
