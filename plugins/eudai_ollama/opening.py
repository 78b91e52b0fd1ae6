"""From sending a request to the first byte of its answer, which may take minutes: what happens meanwhile is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp

from eudai_core.contracts import Clock
from eudai_core.errors import BackendError
from eudai_core.model import Phase
from eudai_ollama.catalogue import same_model
from eudai_ollama.client import OllamaClient
from eudai_ollama.timing import cancelled
from eudai_ollama.watchdog import Watchdog

__all__ = ["Opening"]

_LOOK_AGAIN = 1.0


class _WedgedError(Exception):
    """The model seems to have lost its slots; the request has been withdrawn."""


class Opening:
    """One request that waits for its answer. Iterate :meth:`phases` to its end, then take ``response``."""

    def __init__(
        self, client: OllamaClient, clock: Clock, *, model: str, body: bytes, limit: float, watchdog: Watchdog
    ) -> None:
        """Wait ``limit`` seconds, or less for a model that ``watchdog`` takes for wedged."""
        self._client = client
        self._clock = clock
        self._model = model
        self._body = body
        self._limit = limit
        self._watchdog = watchdog
        self._guarded = True
        self._was_loaded: bool | None = None
        self.since = clock.monotonic()
        """When the request was sent, by the clock's seconds."""
        self.response: aiohttp.ClientResponse | None = None

    async def phases(self) -> AsyncGenerator[Phase, None]:
        """Send the request and tell LOADING or READING as long as no byte came; ends when one did.

        Whether the model is loaded is asked beside the request, which never waits for that. A wedged model is
        unloaded and asked again, once. Closing withdraws the request.

        Raises:
            BackendError: as :meth:`OllamaClient.chat` says, or the limit is over.
        """
        try:
            async with aclosing(self._once()) as phases:
                async for phase in phases:
                    yield phase
        except _WedgedError:
            await self._watchdog.cure(self._model, self.since)
            self._guarded, self._was_loaded, self.since = False, None, self._clock.monotonic()
            async with aclosing(self._once()) as phases:
                async for phase in phases:
                    yield phase

    async def _once(self) -> AsyncGenerator[Phase, None]:
        look: asyncio.Task[bool | None] | None = asyncio.create_task(self._loaded())
        chat = asyncio.create_task(self._client.chat(self._body, self._model))
        alarm = asyncio.create_task(self._alarm())
        told: Phase | None = None
        try:
            while True:
                waiting: set[asyncio.Task[Any]] = {task for task in (chat, look, alarm) if task is not None}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if chat.done():
                    self.response = chat.result()
                    return
                if alarm.done():
                    alarm.result()
                if look is not None and look.done():
                    phase = Phase.LOADING if look.result() is False else Phase.READING
                    look = asyncio.create_task(self._look_again()) if phase is Phase.LOADING else None
                    if phase is not told:
                        told = phase
                        yield phase
        finally:
            await self._withdraw(chat)
            await cancelled(*(task for task in (look, alarm) if task is not None))

    async def _withdraw(self, chat: asyncio.Task[aiohttp.ClientResponse]) -> None:
        if self.response is not None:
            return
        await cancelled(chat)
        if not chat.cancelled() and chat.exception() is None:
            chat.result().close()  # the answer began in the moment of leaving

    async def _loaded(self) -> bool | None:
        try:
            processes = (await self._client.processes()).models or []
        except BackendError:
            return None  # the request itself will tell what is wrong
        loaded = any(same_model(process.name, self._model) for process in processes)
        if self._was_loaded is None:
            self._was_loaded = loaded
        return loaded

    async def _look_again(self) -> bool | None:
        await self._clock.sleep(_LOOK_AGAIN)
        return await self._loaded()

    async def _alarm(self) -> None:
        """Raise when the wait has been too long."""
        end = self.since + self._limit
        while (left := end - self._clock.monotonic()) > 0:
            patience = self._watchdog.remaining(self._model, self.since) if self._guarded else None
            if patience == 0 and self._was_loaded and await self._loaded():
                raise _WedgedError
            # Not loaded, or nothing left to suspect: only the limit counts.
            await self._clock.sleep(left if not patience else min(left, patience))
        raise BackendError(
            f"Ollama did not begin to answer within {self._limit:g} seconds. Its queue may be long or the model too "
            "large for its machine: try again, choose a smaller model, or raise EUDAI_OLLAMA_FIRST_BYTE_TIMEOUT."
        )
