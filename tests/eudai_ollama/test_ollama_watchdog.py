"""A model that lost its slots is unloaded and asked again, once; a slow one is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from eudai_core.errors import BackendError
from eudai_core.model import Chunk, ModelInfo, Phase
from eudai_core.testing import FrozenClock, Reply, ScriptedOllama, chat_request
from eudai_core.testing.llm_checks import collect
from eudai_core.testing.scripted_ollama import Gate, Piece
from eudai_ollama.backend import OllamaBackend

MakeBackend = Callable[..., OllamaBackend]


async def waiting(backend: OllamaBackend, model: ModelInfo, phase: Phase = Phase.READING) -> asyncio.Task[str]:
    """Ask something, wait until ``phase`` is told, and return a task with the text that follows."""
    stream = backend.stream(chat_request(model))
    assert await anext(stream) == Chunk(phase=phase)

    async def rest() -> str:
        return "".join([chunk.text async for chunk in stream])

    return asyncio.create_task(rest())


def unloads(ollama: ScriptedOllama) -> int:
    return sum(seen.path == "/api/chat" and seen.body.get("keep_alive") == 0 for seen in ollama.requests)


async def test_a_wedged_model_is_cured(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    await collect(backend, chat_request(plain))
    ollama.wedge("plain")
    answer = await waiting(backend, plain)
    await clock.sleeping(1, exactly=True)
    clock.advance(149)
    await asyncio.sleep(0)
    assert clock.sleepers == 1
    clock.advance(1)
    assert "You asked" in await answer
    assert unloads(ollama) == 1
    assert [load.model for load in ollama.loads] == ["plain:latest"] * 2


async def test_one_unload_cures_all(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    await collect(backend, chat_request(plain))
    ollama.wedge("plain")
    answers = [await waiting(backend, plain) for _ in range(3)]
    clock.advance(150)
    await asyncio.gather(*answers)
    assert unloads(ollama) == 1


async def test_a_model_that_stays_silent_is_reported(
    ollama: ScriptedOllama, make_backend: MakeBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    backend = make_backend(first_byte_timeout=200)
    await collect(backend, chat_request(plain))
    ollama.script(*[Reply(steps=(Gate("never"),))] * 2)
    answer = await waiting(backend, plain)
    clock.advance(150)
    await ollama.received(4)
    clock.advance(200)
    with pytest.raises(BackendError, match="did not begin to answer within 200 seconds"):
        await answer
    assert unloads(ollama) == 1
    assert len(ollama.chats) == 3


async def test_a_model_that_loads_is_left_alone(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    ollama.hold("load")
    answer = await waiting(backend, plain, Phase.LOADING)
    await ollama.standing("load")
    await clock.sleeping(2, exactly=True)
    clock.advance(200)
    await ollama.received(2, "/api/ps")
    ollama.release("load")
    await answer
    assert unloads(ollama) == 0


async def test_a_model_that_answers_another_request_is_left_alone(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    ollama.script(Reply(steps=(Piece("a"), Gate("busy"))), Reply(steps=(Gate("waiting"), Piece("b"))))
    first = backend.stream(chat_request(plain))
    async for chunk in first:
        if chunk.text == "a":
            break
    second = await waiting(backend, plain)
    await clock.sleeping(2, exactly=True)
    clock.advance(160)
    await clock.sleeping(2, exactly=True)
    ollama.release("waiting")
    ollama.release("busy")
    assert await second == "b"
    assert [chunk.text async for chunk in first if chunk.text] == []
    assert unloads(ollama) == 0


async def test_patience_grows_with_what_was_slow_before(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    await collect(backend, chat_request(plain))
    ollama.script(Reply(steps=(Gate("slow"), Piece("a"))), Reply(steps=(Gate("slower"), Piece("b"))))
    first = await waiting(backend, plain)
    clock.advance(60)
    ollama.release("slow")
    assert await first == "a"
    second = await waiting(backend, plain)
    clock.advance(170)
    await clock.sleeping(1, exactly=True)
    ollama.release("slower")
    assert await second == "b"
    assert unloads(ollama) == 0


async def test_it_can_be_switched_off(
    ollama: ScriptedOllama, make_backend: MakeBackend, plain: ModelInfo, clock: FrozenClock
) -> None:
    backend = make_backend(wedge_timeout=0)
    await collect(backend, chat_request(plain))
    ollama.script(Reply(steps=(Gate("slow"), Piece("a"))))
    answer = await waiting(backend, plain)
    clock.advance(299)
    await asyncio.sleep(0)
    ollama.release("slow")
    assert await answer == "a"
    assert unloads(ollama) == 0
