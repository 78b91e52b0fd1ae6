"""The LLM backend ``ollama``."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import aiohttp

from eudai_core.contracts import Clock, PluginContext
from eudai_core.errors import BackendError, ModelNotFound
from eudai_core.model import ChatRequest, Chunk, Health, HealthStatus, ModelInfo
from eudai_ollama.answer import AnswerReader
from eudai_ollama.catalogue import Catalogue
from eudai_ollama.client import OllamaClient
from eudai_ollama.faults import broken
from eudai_ollama.lines import Lines, LineTooLongError
from eudai_ollama.opening import Opening
from eudai_ollama.payload import chat_body, expects_thinking, separates_thinking
from eudai_ollama.settings import OllamaSettings
from eudai_ollama.stall import StallGuard
from eudai_ollama.thinking import Separator, TagHabits
from eudai_ollama.watchdog import Watchdog

__all__ = ["OllamaBackend", "make_backend"]

_HEALTH_TIMEOUT = 1.5


class OllamaBackend:
    """Answers by Ollama's ``/api/chat``; see :class:`eudai_core.contracts.LLMBackend`.

    Nothing is tried again in here, except once for a wedged model (see eudai_ollama.watchdog). To be made, used and
    closed in one event loop.
    """

    def __init__(self, settings: OllamaSettings, clock: Clock) -> None:
        """Open the session.

        Raises:
            ConfigError: the address is unusable.
        """
        self._settings = settings
        self._clock = clock
        self._client = OllamaClient(settings, clock)
        self._catalogue = Catalogue(self._client, settings, clock)
        self._watchdog = Watchdog(self._client, clock, settings.wedge_timeout)
        self._habits: defaultdict[str, TagHabits] = defaultdict(TagHabits)

    async def models(self) -> Sequence[ModelInfo]:
        """Return the installed models that can chat; see :class:`eudai_ollama.catalogue.Catalogue`.

        Raises:
            BackendUnavailable: Ollama cannot be reached.
        """
        return await self._catalogue.models()

    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        """Give the answer in pieces. The phases ``loading`` and ``reading`` are told while nothing has come.

        Closing the iterator or cancelling its task closes the connection at once: the only way to stop Ollama.

        Raises:
            BackendUnavailable: Ollama cannot be reached, or hung up before it answered.
            BackendBusy: its queue is full.
            ModelNotFound: the model is not installed.
            ContextTooLong: the prompt does not fit ``request.model.window``.
            StreamBroken: the answer did not come to its end.
            BackendError: another refusal, or no first byte in time.
        """
        body = chat_body(request, think=self._settings.think, keep_alive=self._settings.keep_alive)
        model = request.model.name
        opening = Opening(
            self._client,
            self._clock,
            model=model,
            body=body,
            limit=self._settings.first_byte_timeout,
            watchdog=self._watchdog,
        )
        try:
            async with aclosing(opening.phases()) as phases:
                async for phase in phases:
                    yield Chunk(phase=phase)
        except ModelNotFound:
            self._catalogue.forget()
            raise
        response = opening.response
        if response is None:
            raise broken("Ollama gave no answer")
        reader = self._reader(request)
        guard = StallGuard(self._clock, self._settings.idle_timeout, response)
        try:
            with self._watchdog.producing(model, opening.since):
                lines = Lines()
                while not reader.ended:
                    for line in await self._read(response, guard, lines):
                        for chunk in reader.read(line):
                            yield chunk
                        if reader.ended:
                            break
        finally:
            response.close()
            await guard.aclose()

    async def health(self) -> Health:
        """Tell within two seconds whether Ollama answers and has a model."""
        try:
            version, tags = await asyncio.gather(
                self._client.version(_HEALTH_TIMEOUT), self._client.tags(_HEALTH_TIMEOUT)
            )
        except BackendError as error:
            return Health(HealthStatus.DOWN, error.detail)
        count = len(tags.models or ())
        if not count:
            return Health(HealthStatus.DEGRADED, f"Ollama {version} has no model. Install one: ollama pull deepseek-r1")
        return Health(HealthStatus.OK, f"Ollama {version} with {count} models")

    async def aclose(self) -> None:
        """Close every connection; answers that still run break off."""
        await self._client.aclose()

    def _reader(self, request: ChatRequest) -> AnswerReader:
        habits = self._habits[request.model.name]
        expects = expects_thinking(request, self._settings.think)
        trusted = separates_thinking(request.model)
        return AnswerReader(Separator(habits, expects_thinking=expects, trusted=trusted))

    async def _read(self, response: aiohttp.ClientResponse, guard: StallGuard, lines: Lines) -> Sequence[bytes]:
        """Return the lines that came next; at the end of the stream the rest, and after that it is broken."""
        guard.reading_since = self._clock.monotonic()
        try:
            data = await response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            if guard.stalled:
                raise broken(f"Ollama sent nothing for {self._settings.idle_timeout:g} seconds") from error
            raise broken("The connection to Ollama was lost") from error
        finally:
            guard.reading_since = None
        try:
            if data:
                return lines.feed(data)
        except LineTooLongError as error:
            raise broken("Ollama sent a line that is too long to be a part of an answer") from error
        rest = lines.rest()
        if not rest:
            raise broken("Ollama ended it without saying that it was done")
        return [rest]


async def make_backend(context: PluginContext) -> OllamaBackend:
    """Make the backend from the settings section ``ollama``.

    Raises:
        ConfigError: the address is unusable.
    """
    return OllamaBackend(context.settings(OllamaSettings), context.clock)
