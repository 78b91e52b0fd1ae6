"""Tries to reach a backend: three, in under ten seconds, and none after the first piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from eudai_core.chat.streaming import AnswerStream
from eudai_core.errors import BackendError, BackendUnavailable
from eudai_core.hooks import hookimpl
from eudai_core.ids import new_id
from eudai_core.jobs import JobRunner
from eudai_core.model import ChatRequest, Chunk, Done, Health, HealthStatus, ModelInfo, Phase, PromptMessage
from eudai_core.plugins import PluginHost
from eudai_core.testing import FrozenClock
from support.chatting import chatting

MODEL = ModelInfo("flaky", "flaky", 8192)
Script = Sequence[Chunk | BackendError]


class Flaky:
    """Does what its scripts say, one for each try; ``lasts`` is how long a try takes."""

    def __init__(self, clock: FrozenClock, *scripts: Script, lasts: float = 0.0) -> None:
        self._clock = clock
        self._scripts = list(scripts)
        self._lasts = lasts
        self.tries = 0
        self.closed = 0

    async def models(self) -> Sequence[ModelInfo]:
        return (MODEL,)

    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        self.tries += 1
        self._clock.advance(self._lasts)
        try:
            for step in self._scripts.pop(0):
                if isinstance(step, BackendError):
                    raise step
                yield step
        finally:
            self.closed += 1

    async def health(self) -> Health:
        return Health(HealthStatus.OK)

    async def aclose(self) -> None:
        return None


class WithFlaky:
    eudai_api = (0, 1)

    def __init__(self, backend: Flaky) -> None:
        self._backend = backend

    @hookimpl
    def eudai_register_llm_backends(self, register: Any) -> None:
        register("flaky", lambda context: self._backend)


REQUEST = ChatRequest(new_id(), new_id(), MODEL, (PromptMessage("user", "Hello?"),), "Hello?", 100)
DOWN = BackendUnavailable("It cannot be reached.")
GOOD: Script = [Chunk(phase=Phase.READING), Chunk(text="Here."), Chunk(done=Done())]


async def built(data: Path, clock: FrozenClock, *plugins: Any, **settings: str) -> PluginHost:
    """Return a host with these plugins; close it."""
    none = {"EUDAI_AUTHENTICATORS": "", "EUDAI_PASSWORD_HASHERS": ""}
    host = PluginHost.compose(
        overrides={"EUDAI_DATA_DIR": str(data), **none, **settings},
        environ={},
        dotenv=None,
        plugins=["eudai-sql", "eudai-context", *plugins],
        clock=clock,
    )
    await host.build(jobs=JobRunner(host, clock, "test"))
    return host


async def read(data: Path, clock: FrozenClock, backend: Flaky) -> list[Chunk]:
    """Read a stream to its end; whenever it pauses, time moves on."""
    host = await built(data, clock, ("flaky", WithFlaky(backend)))
    chunks: list[Chunk] = []

    async def collect() -> None:
        async for chunk in AnswerStream(host, clock).chunks("flaky", REQUEST):
            chunks.append(chunk)

    task = asyncio.create_task(collect())
    try:
        while not task.done():
            sleeping = asyncio.create_task(clock.sleeping())
            await asyncio.wait({task, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            sleeping.cancel()
            if not task.done():
                clock.advance(1.0)
        await task
    finally:
        await host.aclose()
    return chunks


async def test_it_answers_at_the_third_try(tmp_path: Path) -> None:
    clock = FrozenClock()
    backend = Flaky(clock, [DOWN], [Chunk(phase=Phase.LOADING), DOWN], GOOD)
    chunks = await read(tmp_path, clock, backend)
    assert backend.tries == backend.closed == 3
    assert "".join(chunk.text for chunk in chunks) == "Here."


async def test_after_three_tries_it_gives_up(tmp_path: Path) -> None:
    clock = FrozenClock()
    backend = Flaky(clock, [DOWN], [DOWN], [DOWN], GOOD)
    with pytest.raises(BackendUnavailable):
        await read(tmp_path, clock, backend)
    assert backend.tries == 3


async def test_slow_failures_are_not_tried_beyond_ten_seconds(tmp_path: Path) -> None:
    clock = FrozenClock()
    backend = Flaky(clock, [DOWN], [DOWN], [DOWN], lasts=4.0)
    begun = clock.monotonic()
    with pytest.raises(BackendUnavailable):
        await read(tmp_path, clock, backend)
    assert backend.tries == 2
    assert clock.monotonic() - begun < 10


async def test_after_a_piece_there_is_no_second_try(tmp_path: Path) -> None:
    clock = FrozenClock()
    backend = Flaky(clock, [Chunk(text="Half"), DOWN], GOOD)
    with pytest.raises(BackendUnavailable):
        await read(tmp_path, clock, backend)
    assert backend.tries == 1


async def test_a_socket_that_hangs_up_is_tried_three_times(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        await chat.said()
        await chat.ollama.refuse()
        hangups = 0

        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal hangups
            head = await reader.readuntil(b"\r\n")
            hangups += b"/api/chat" in head
            writer.close()
            await writer.wait_closed()

        port = int(chat.ollama.url.rsplit(":", 1)[1])
        async with await asyncio.start_server(hang_up, "127.0.0.1", port):
            answer = await chat.said("Anybody there?")
        assert answer.error is not None
        assert answer.error["code"] == BackendUnavailable.code
        assert hangups == 3


class Careless:
    """A filter that does not close what it reads."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    def wrap(self, request: ChatRequest, stream: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        return self._wrapped(stream)

    async def _wrapped(self, stream: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        try:
            async for chunk in stream:
                yield chunk
        finally:
            self.closed.append("filter")


class WithCareless:
    eudai_api = (0, 1)

    def __init__(self, stream_filter: Careless) -> None:
        self._filter = stream_filter

    @hookimpl
    def eudai_register_stream_filters(self, register: Any) -> None:
        register("careless", lambda context: self._filter)


async def test_a_filter_that_does_not_close_its_stream_leaves_nothing_open(tmp_path: Path) -> None:
    clock, careless = FrozenClock(), Careless()
    backend = Flaky(clock, [Chunk(text="One"), Chunk(text="two"), Chunk(done=Done())])
    plugins = (("flaky", WithFlaky(backend)), ("careless", WithCareless(careless)))
    host = await built(tmp_path, clock, *plugins, EUDAI_STREAM_FILTERS="careless")
    try:
        async with aclosing(AnswerStream(host, clock).chunks("flaky", REQUEST)) as chunks:
            assert (await anext(chunks)).text == "One"
        assert (backend.closed, careless.closed) == (1, ["filter"])
    finally:
        await host.aclose()
