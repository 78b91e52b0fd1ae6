"""What every LLM backend must keep, as plain coroutines that raise :class:`BrokenContract` when it does not.

:class:`eudai_core.testing.LLMBackendSuite` runs them under pytest; they may be called by themselves as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from eudai_core.contracts import LLMBackend
from eudai_core.errors import ModelNotFound
from eudai_core.ids import new_id
from eudai_core.model import ChatRequest, Chunk, Health, ModelInfo, Phase, PromptMessage, Segment

__all__ = [
    "BrokenContract",
    "Limits",
    "chat_request",
    "check_cancel",
    "check_close",
    "check_closes_twice",
    "check_concurrent",
    "check_ends_once",
    "check_health",
    "check_loop_free",
    "check_models",
    "check_thinking_apart",
    "check_unknown_model",
    "collect",
]

_TAGS = ("<think>", "</think>")
_TICK = 0.005
_LOOP_TRIES = 3
_PHASES = frozenset({Phase.LOADING, Phase.READING, Phase.THINKING, Phase.ANSWERING})


class BrokenContract(AssertionError):  # noqa: N818 -- the name says what it is
    """A backend does not keep the contract; the message says which sentence of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a backend may take, in seconds, and how much it may give."""

    answer: float = 30.0
    stop: float = 0.2
    block: float = 0.1
    health: float = 2.0
    chunks: int = 100_000


_LIMITS = Limits()


def chat_request(
    model: ModelInfo,
    question: str = "What is written in the notes about the red fox? Answer in two sentences.",
    *,
    history: Sequence[PromptMessage] = (),
    think: bool | None = None,
    max_answer_tokens: int | None = None,
    options: Mapping[str, Any] | None = None,
    segments: Sequence[Segment] = (),
) -> ChatRequest:
    """Return a request for one answer to ``question``, which follows ``history``."""
    return ChatRequest(
        run_id=new_id(),
        conversation_id=new_id(),
        model=model,
        messages=(*history, PromptMessage("user", question)),
        question=question,
        max_answer_tokens=max_answer_tokens or model.max_answer_tokens,
        think=think,
        options=options or {},
        segments=segments,
    )


async def collect(backend: LLMBackend, request: ChatRequest, limits: Limits = _LIMITS) -> Sequence[Chunk]:
    """Return all chunks of an answer.

    Raises:
        BrokenContract: there are too many, or it takes too long.
    """
    chunks: list[Chunk] = []

    async def read() -> None:
        async for chunk in backend.stream(request):
            chunks.append(chunk)
            if len(chunks) > limits.chunks:
                raise BrokenContract(f"the answer does not end: more than {limits.chunks} chunks")

    try:
        await asyncio.wait_for(read(), limits.answer)
    except TimeoutError as error:
        raise BrokenContract(f"the answer does not end: {len(chunks)} chunks in {limits.answer:g} s") from error
    return chunks


async def check_models(backend: LLMBackend) -> None:
    """Check that models are offered under unique names, with sizes that make sense."""
    models = await backend.models()
    _must(len(models) > 0, "models() returns at least one model")
    _must(len({model.name for model in models}) == len(models), "no two models have one name")
    for model in models:
        _must(0 < model.max_answer_tokens < model.window, f"{model.name}: an answer fits the window")
        _must(model.capacity >= 1, f"{model.name}: capacity is at least 1")


async def check_ends_once(backend: LLMBackend, request: ChatRequest, limits: Limits = _LIMITS) -> None:
    """Check that the last chunk, and no other, says ``done``, and that an ended stream stays ended."""
    chunks = await collect(backend, request, limits)
    ends = [index for index, chunk in enumerate(chunks) if chunk.done is not None]
    _must(len(ends) > 0, "the stream says that it is done before it ends")
    _must(len(ends) == 1, "the stream says only once that it is done")
    _must(ends[0] == len(chunks) - 1, "nothing follows the chunk that says done")
    _must(_text(chunks).strip() != "", "the answer has a text")
    told = {chunk.phase for chunk in chunks if chunk.phase is not None}
    _must(told <= _PHASES, "a backend tells loading, reading, thinking and answering; the queue is the server's")


async def check_thinking_apart(backend: LLMBackend, request: ChatRequest, limits: Limits = _LIMITS) -> None:
    """Check that thinking comes, and is not mixed into the text."""
    chunks = await collect(backend, replace(request, think=True), limits)
    text, thinking = _text(chunks), "".join(chunk.thinking for chunk in chunks)
    _must(thinking.strip() != "", "a model that claims thinking gives some when asked to")
    _must(not any(tag in text for tag in _TAGS), "the text holds no tags of thinking")
    _must(thinking.strip() not in text, "thinking is not repeated in the text")


async def check_close(backend: LLMBackend, request: ChatRequest, limits: Limits = _LIMITS) -> None:
    """Check that closing the iterator after the first chunk works, in time, and ends it."""
    stream = backend.stream(request)
    aclose = getattr(stream, "aclose", None)
    if aclose is None:
        raise BrokenContract("the iterator can be closed: it has aclose()")
    await _first(stream, limits)
    closing = asyncio.ensure_future(aclose())
    await _ends(closing, limits.stop, "closing the iterator")
    if (error := closing.exception()) is not None:
        raise BrokenContract("closing the iterator raises nothing") from error
    try:
        await anext(stream)
    except StopAsyncIteration:
        return
    raise BrokenContract("a closed iterator gives nothing more")


async def check_cancel(backend: LLMBackend, request: ChatRequest, limits: Limits = _LIMITS) -> None:
    """Check that cancelling the task that reads ends it, in time, and is not swallowed."""
    seen = _Reader()
    task = asyncio.create_task(seen.read(backend.stream(request)))
    begun = asyncio.create_task(seen.begun.wait())
    await asyncio.wait({task, begun}, timeout=limits.answer, return_when=asyncio.FIRST_COMPLETED)
    begun.cancel()
    if not task.done():
        seen.cancelled = True
        task.cancel()
        await _ends(task, limits.stop, "a cancelled answer")
        _must(seen.late == 0, "cancelling is not swallowed: no chunk comes after it")
        _must(task.cancelled(), "cancelling is not swallowed: CancelledError reaches the reader")
    elif not task.cancelled() and (error := task.exception()) is not None:
        raise error
    else:
        _must(seen.begun.is_set(), "the stream gives something before it ends")


async def check_loop_free(backend: LLMBackend, request: ChatRequest, limits: Limits = _LIMITS) -> None:
    """Check that the event loop is not blocked during an answer; the best of three answers counts."""
    gaps = []
    for _ in range(_LOOP_TRIES):
        async with _Ticker() as ticker:
            await collect(backend, request, limits)
        gaps.append(ticker.longest)
        if ticker.longest <= limits.block:
            return
    raise BrokenContract(f"the event loop stood still for {min(gaps):.3f} s during an answer")


async def check_concurrent(backend: LLMBackend, request: ChatRequest, limits: Limits = _LIMITS) -> None:
    """Check that two answers at the same time each end properly."""
    other = replace(request, run_id=new_id(), conversation_id=new_id())
    async with asyncio.TaskGroup() as group:
        group.create_task(check_ends_once(backend, request, limits))
        group.create_task(check_ends_once(backend, other, limits))


async def check_unknown_model(backend: LLMBackend, request: ChatRequest, limits: Limits = _LIMITS) -> None:
    """Check that a model that is not there is ModelNotFound, and that its text names the model."""
    model = replace(request.model, name="no-such-model:1b")
    try:
        await collect(backend, replace(request, model=model), limits)
    except ModelNotFound as error:
        _must(model.name in error.detail, "ModelNotFound names the model")
        return
    raise BrokenContract("a model that is not there raises ModelNotFound")


async def check_health(backend: LLMBackend, limits: Limits = _LIMITS) -> None:
    """Check that health is told in time."""
    try:
        health = await asyncio.wait_for(backend.health(), limits.health)
    except TimeoutError as error:
        raise BrokenContract(f"health() answers within {limits.health:g} s") from error
    _must(isinstance(health, Health), "health() returns a Health")


async def check_closes_twice(backend: LLMBackend) -> None:
    """Check that the backend can be closed twice."""
    await backend.aclose()
    await backend.aclose()


@dataclass(slots=True)
class _Reader:
    """Reads a stream in a task of its own and notes what comes after it was cancelled."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False
    late: int = 0

    async def read(self, stream: AsyncIterator[Chunk]) -> None:
        async for _ in stream:
            if self.cancelled:
                self.late += 1
                return
            self.begun.set()


class _Ticker:
    """Measures the longest time between two turns of the event loop, as far as it was late."""

    longest = 0.0

    async def __aenter__(self) -> _Ticker:
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + _TICK
        self._handle = self._loop.call_at(self._due, self._tick)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._note()
        self._handle.cancel()

    def _note(self) -> None:
        self.longest = max(self.longest, self._loop.time() - self._due)

    def _tick(self) -> None:
        self._note()
        self._due = self._loop.time() + _TICK
        self._handle = self._loop.call_at(self._due, self._tick)


async def _first(stream: AsyncIterator[Chunk], limits: Limits) -> None:
    try:
        await asyncio.wait_for(anext(stream), limits.answer)
    except StopAsyncIteration as error:
        raise BrokenContract("the stream gives something before it ends") from error
    except TimeoutError as error:
        raise BrokenContract(f"the stream gives something within {limits.answer:g} s") from error


async def _ends(task: asyncio.Future[Any], limit: float, what: str) -> None:
    done, _ = await asyncio.wait({task}, timeout=limit)
    if not done:
        task.cancel()
        raise BrokenContract(f"{what} ends within {limit:g} s")


def _text(chunks: Sequence[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def _must(kept: bool, sentence: str) -> None:
    if not kept:
        raise BrokenContract(f"not kept: {sentence}")
