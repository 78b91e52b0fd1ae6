"""The conformance checks of LLM backends catch backends that break the contract, each in its own way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from eudai_core.errors import BackendUnavailable, ModelNotFound
from eudai_core.model import ChatRequest, Chunk, Done, Health, HealthStatus, ModelInfo, Phase
from eudai_core.testing import LLMBackendSuite, chat_request
from eudai_core.testing.llm_checks import (
    BrokenContract,
    Limits,
    check_cancel,
    check_close,
    check_closes_twice,
    check_concurrent,
    check_ends_once,
    check_health,
    check_loop_free,
    check_models,
    check_thinking_apart,
    check_unknown_model,
)

MODEL = ModelInfo(name="echo", backend="echo", window=1000, max_answer_tokens=100, capabilities=frozenset({"thinking"}))
SHORT = Limits(answer=0.2, stop=0.1, block=0.05, health=0.1, chunks=1000)
END = Chunk(done=Done())

Check = Callable[["EchoBackend", ChatRequest, Limits], Awaitable[None]]


class EchoBackend:
    """A good backend; the bad ones below change one thing each."""

    async def models(self) -> Sequence[ModelInfo]:
        return (MODEL,)

    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        if request.model.name != MODEL.name:
            raise ModelNotFound(f"There is no {request.model.name}.")
        yield Chunk(phase=Phase.THINKING)
        yield Chunk(thinking="The question is short. ")
        await asyncio.sleep(0)
        yield Chunk(phase=Phase.ANSWERING)
        for word in request.question.split():
            await asyncio.sleep(0)
            yield Chunk(text=f"{word} ")
        yield END

    async def health(self) -> Health:
        return Health(HealthStatus.OK)

    async def aclose(self) -> None:
        pass


class TestEchoBackend(LLMBackendSuite):
    @pytest.fixture
    def backend(self) -> EchoBackend:
        return EchoBackend()


class NeverEnds(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        while True:
            await asyncio.sleep(0)
            yield Chunk(text="again ")


class Hangs(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(text="wait")
        await asyncio.Event().wait()


class EndsTwice(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        async for chunk in super().stream(request):
            yield chunk
        yield END


class GoesOnAfterDone(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        async for chunk in super().stream(request):
            yield chunk
        yield Chunk(text="P.S.")


class NeverSaysDone(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(text="that is all")


class SaysNothing(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield END


class TellsTheQueue(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(phase=Phase.QUEUED)
        async for chunk in super().stream(request):
            yield chunk


class MixesThinking(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(thinking="hm, a question")
        yield Chunk(text="<think>hm</think> 42")
        yield END


class RepeatsThinking(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(thinking="hm, a question")
        yield Chunk(text="hm, a question: 42")
        yield END


class DoesNotThink(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(text="42")
        yield END


class SwallowsCancel(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(text="wait")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield Chunk(text="not yet")
        yield END


class EndsInsteadOfCancelling(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(text="wait")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return


class IsSlowToCancel(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(text="wait")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.Event().wait()


class IsSlowToClose(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        try:
            yield Chunk(text="wait")
        finally:
            await asyncio.Event().wait()


class RefusesToClose(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        while True:
            try:
                yield Chunk(text="more")
            except GeneratorExit:
                yield Chunk(text="even more")


class CannotBeClosed(EchoBackend):
    def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        return _Bare(super().stream(request))


class _Bare:
    def __init__(self, inner: AsyncIterator[Chunk]) -> None:
        self._inner = inner

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        return await anext(self._inner)


class BlocksTheLoop(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        async for chunk in super().stream(request):
            yield chunk
            if chunk.phase is Phase.ANSWERING:
                await asyncio.sleep(0.01)
                time.sleep(0.1)  # noqa: ASYNC251 -- the fault


class KnowsEveryModel(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(text="sure")
        yield END


class NamesNoModel(EchoBackend):
    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        raise ModelNotFound("No such model.")
        yield END


class OneAtATime(EchoBackend):
    def __init__(self) -> None:
        self._busy = False

    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        if self._busy:
            yield END
            return
        self._busy = True
        async for chunk in super().stream(request):
            yield chunk
        self._busy = False


class IsNeverHealthy(EchoBackend):
    async def health(self) -> Health:
        await asyncio.Event().wait()
        return Health(HealthStatus.DOWN)


@pytest.mark.parametrize(
    ("backend", "check", "sentence"),
    [
        (NeverEnds(), check_ends_once, "does not end"),
        (Hangs(), check_ends_once, "does not end"),
        (EndsTwice(), check_ends_once, "only once"),
        (GoesOnAfterDone(), check_ends_once, "nothing follows"),
        (NeverSaysDone(), check_ends_once, "says that it is done"),
        (SaysNothing(), check_ends_once, "has a text"),
        (TellsTheQueue(), check_ends_once, "the queue is the server's"),
        (MixesThinking(), check_thinking_apart, "no tags"),
        (RepeatsThinking(), check_thinking_apart, "not repeated"),
        (DoesNotThink(), check_thinking_apart, "gives some"),
        (SwallowsCancel(), check_cancel, "not swallowed"),
        (EndsInsteadOfCancelling(), check_cancel, "not swallowed"),
        (IsSlowToCancel(), check_cancel, "ends within"),
        (IsSlowToClose(), check_close, "ends within"),
        (RefusesToClose(), check_close, "raises nothing"),
        (CannotBeClosed(), check_close, "can be closed"),
        (BlocksTheLoop(), check_loop_free, "stood still"),
        (KnowsEveryModel(), check_unknown_model, "raises ModelNotFound"),
        (NamesNoModel(), check_unknown_model, "names the model"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, EchoBackend) else "",
)
async def test_bad_backends_are_caught(backend: EchoBackend, check: Check, sentence: str) -> None:
    with pytest.raises(BrokenContract, match=sentence):
        await check(backend, chat_request(MODEL), SHORT)


async def test_two_answers_at_once() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await check_concurrent(OneAtATime(), chat_request(MODEL), SHORT)
    assert caught.group_contains(BrokenContract, match="has a text")


async def test_slow_health() -> None:
    with pytest.raises(BrokenContract, match="health"):
        await check_health(IsNeverHealthy(), SHORT)


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        ((), "at least one"),
        ((MODEL, MODEL), "one name"),
        ((ModelInfo(name="a", backend="b", window=10, max_answer_tokens=10),), "fits the window"),
        ((ModelInfo(name="a", backend="b", window=10, max_answer_tokens=5, capacity=0),), "capacity"),
    ],
)
async def test_lists_of_models(models: Sequence[ModelInfo], sentence: str) -> None:
    class Offers(EchoBackend):
        async def models(self) -> Sequence[ModelInfo]:
            return models

    with pytest.raises(BrokenContract, match=sentence):
        await check_models(Offers())


async def test_a_backend_that_fails_is_no_broken_contract() -> None:
    class Fails(EchoBackend):
        async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
            raise BackendUnavailable("down")
            yield END

    for check in (check_cancel, check_ends_once, check_close):
        with pytest.raises(BackendUnavailable):
            await check(Fails(), chat_request(MODEL), SHORT)


async def test_a_good_backend_passes_every_check() -> None:
    backend, request = EchoBackend(), chat_request(MODEL)
    await check_models(backend)
    for check in (
        check_ends_once,
        check_thinking_apart,
        check_close,
        check_cancel,
        check_concurrent,
        check_unknown_model,
    ):
        await check(backend, request)
    await check_health(backend)
    await check_closes_twice(backend)


def test_what_a_backend_may_lack() -> None:
    class Wrong(LLMBackendSuite):
        lacks = {"hearing": "it has no ears"}  # noqa: RUF012 -- a ClassVar of the suite

    with pytest.raises(pytest.fail.Exception, match="hearing"):
        Wrong()._needs("cancel")


def test_what_a_backend_lacks_is_skipped_with_its_reason() -> None:
    class Short(LLMBackendSuite):
        lacks = {"cancel": "it is over before it can be stopped"}  # noqa: RUF012 -- a ClassVar of the suite

    with pytest.raises(pytest.skip.Exception, match="over before"):
        Short()._needs("cancel")


async def test_what_is_claimed_cannot_be_lacked() -> None:
    class Wrong(LLMBackendSuite):
        lacks = {"thinking": "it does not"}  # noqa: RUF012 -- a ClassVar of the suite

    with pytest.raises(pytest.fail.Exception, match="claims"):
        await Wrong().test_thinking_apart(EchoBackend(), chat_request(MODEL))
