"""Reading a backend's stream: tries before the first piece, filters, and the rules that a stream must keep."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Final

from eudai_core.contracts import Clock, LLMBackend
from eudai_core.errors import BackendUnavailable, StreamBroken
from eudai_core.model import ChatRequest, Chunk
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import LLM_BACKENDS, STREAM_FILTERS

__all__ = ["AnswerStream"]

PAUSES: Final = (0.5, 1.0)
"""Seconds between the three tries to reach a backend."""
PATIENCE: Final = 7.0
"""No further try is begun this many seconds after the first, so that the caller hears within ten: a backend takes less
than three to find that nobody answers."""


class AnswerStream:
    """The chunks of one answer from a backend."""

    def __init__(self, host: PluginHost, clock: Clock) -> None:
        self._host = host
        self._clock = clock

    async def chunks(self, backend_name: str, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Give the chunks up to and with the one that has ``done``; closing this closes the backend's stream.

        An unreachable backend is tried three times, but only before its first piece.

        Raises:
            BackendUnavailable: the backend is not loaded, or could not be reached.
            StreamBroken: the stream ended without ``done``.
            BackendError: as the backend said.
        """
        backend = self._host.all(LLM_BACKENDS).get(backend_name)
        if backend is None:
            raise BackendUnavailable(f"The LLM backend {backend_name!r} is not loaded. The operator sees why.")
        begun = self._clock.monotonic()
        for pause in (*PAUSES, None):
            try:
                async with aclosing(self._filtered(backend, request)) as stream:
                    async for chunk in stream:
                        if chunk.text or chunk.thinking:
                            pause = None  # noqa: PLW2901 a piece came: from here on there is no second try
                        yield chunk
                        if chunk.done is not None:
                            return
                raise StreamBroken("The model's answer ended without its end mark. Its text was kept.")
            except BackendUnavailable:
                if pause is None or self._clock.monotonic() - begun + pause > PATIENCE:
                    raise
            await self._clock.sleep(pause)

    async def _filtered(self, backend: LLMBackend, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        async with AsyncExitStack() as streams:
            stream: AsyncIterator[Chunk] = backend.stream(request)
            _close_after(streams, stream)
            for stream_filter in self._host.all(STREAM_FILTERS).values():
                stream = stream_filter.wrap(request, stream)
                _close_after(streams, stream)
            async for chunk in stream:
                yield chunk


def _close_after(streams: AsyncExitStack, stream: AsyncIterator[Chunk]) -> None:
    """Have a stream closed at the end, the outermost first: a filter need not close what it reads."""
    close = getattr(stream, "aclose", None)
    if close is not None:
        streams.push_async_callback(close)
