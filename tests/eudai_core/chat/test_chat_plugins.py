"""Plugins that misbehave in a turn: the answer comes all the same, and they are named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from eudai_core.errors import Forbidden
from eudai_core.hooks import hookimpl
from eudai_core.model import (
    ChatRequest,
    Chunk,
    ContextQuery,
    Decision,
    Event,
    Identity,
    MessageStatus,
    ModelInfo,
    Origin,
    PluginStatus,
    ResourceRef,
    Segment,
    SegmentKind,
    Stability,
)
from support.chat_faults import DEFAULTS
from support.chatting import chatting


class HangingSource:
    async def collect(self, query: ContextQuery) -> Sequence[Segment]:
        await asyncio.Event().wait()
        return ()


class RaisingSource:
    async def collect(self, query: ContextQuery) -> Sequence[Segment]:
        raise RuntimeError("nothing works here")


class NonsenseSource:
    async def collect(self, query: ContextQuery) -> Sequence[Segment]:
        return "nonsense"  # type: ignore[return-value]  # that is the fault


class WithSource:
    eudai_api = (0, 1)

    def __init__(self, source: object) -> None:
        self._source = source

    @hookimpl
    def eudai_register_context_sources(self, register: Any) -> None:
        register("bad", lambda context: self._source)


@pytest.mark.parametrize(
    "source", [HangingSource(), RaisingSource(), NonsenseSource()], ids=lambda one: type(one).__name__
)
async def test_a_bad_context_source_is_left_out_and_named(tmp_path: Path, source: object) -> None:
    async with chatting(tmp_path, plugins=[*DEFAULTS, ("bad-plugin", WithSource(source))]) as chat:
        answer = await chat.said()
        assert answer.status is MessageStatus.COMPLETE
        report = await chat.app.conversations.context(chat.identity, answer.id)
        states = {state.name: state for state in chat.app.host.states()}
    assert sum(states["bad-plugin"].faults.values()) == 1
    assert len(next(one for one in report["plugins"] if one["name"] == "bad-plugin")["faults"]) == 1


class Noting:
    """Appends the time to the user's message, as a volatile fact."""

    eudai_api = (0, 1)

    @hookimpl
    async def eudai_transform_context(
        self, context: tuple[Segment, ...], query: ContextQuery
    ) -> tuple[Segment, ...] | None:
        note = Segment(SegmentKind.TOOL, f"Asked: {query.question}", Origin("note", "1"), Stability.TURN)
        return (*context, note)


async def test_a_transform_may_append_and_its_words_are_replayed(tmp_path: Path) -> None:
    async with chatting(tmp_path, plugins=[*DEFAULTS, ("noting", Noting())]) as chat:
        await chat.said("First?")
        await chat.said("Second?")
        first, second = (received.body["messages"] for received in chat.ollama.chats)
    assert "Asked: First?" in first[-1]["content"]
    assert second[: len(first)] == first
    assert "Asked: Second?" in second[-1]["content"]


class Choosing:
    eudai_api = (0, 1)

    @hookimpl
    async def eudai_select_model(
        self, identity: Identity, requested: str | None, available: tuple[ModelInfo, ...]
    ) -> ModelInfo | None:
        return next(model for model in available if model.backend == "extractive")


async def test_a_plugin_may_choose_the_model(tmp_path: Path) -> None:
    async with chatting(tmp_path, plugins=[*DEFAULTS, ("choosing", Choosing())]) as chat:
        assert (await chat.said()).model == "extractive"
        assert chat.ollama.chats == []


class Denying:
    eudai_api = (0, 1)

    @hookimpl
    async def eudai_authorize(self, identity: Identity, action: str, resource: ResourceRef) -> Decision | None:
        return Decision.DENY if action == "delete" else None


async def test_an_operator_s_deny_wins_over_ownership(tmp_path: Path) -> None:
    async with chatting(tmp_path, plugins=[*DEFAULTS, ("denying", Denying())]) as chat:
        with pytest.raises(Forbidden):
            await chat.app.projects.delete(chat.identity, chat.project.id)


class Hearing:
    eudai_api = (0, 1)

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.ended = asyncio.Event()

    @hookimpl
    async def eudai_on_event(self, event: Event) -> None:
        self.heard.append(event)
        if event.type == "run":
            self.ended.set()
        raise RuntimeError("nobody else notices")


async def test_events_are_heard_after_the_commit_and_a_fault_harms_nobody(tmp_path: Path) -> None:
    hearing = Hearing()
    async with chatting(tmp_path, plugins=[*DEFAULTS, ("hearing", hearing)]) as chat:
        assert (await chat.said()).status is MessageStatus.COMPLETE
        await hearing.ended.wait()
        assert {(event.type, event.action) for event in hearing.heard} >= {("run", "ended")}


class Backend:
    """A backend that does what its stream says."""

    def __init__(self, chunks: Sequence[Chunk | Exception]) -> None:
        self._chunks = chunks

    async def models(self) -> Sequence[ModelInfo]:
        return (ModelInfo("bad", "bad", 8192),)

    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def health(self) -> Any:
        return None

    async def aclose(self) -> None:
        return None


class WithBackend:
    eudai_api = (0, 1)

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @hookimpl
    def eudai_register_llm_backends(self, register: Any) -> None:
        register("bad", lambda context: self._backend)


@pytest.mark.parametrize(
    ("chunks", "text", "code"),
    [
        ([Chunk(text="Half"), RuntimeError("secret reason")], "Half", "llm_failed"),
        ([Chunk(text="Half")], "Half", "llm_stream_broken"),
        ([], "", "llm_stream_broken"),
    ],
    ids=["raises", "ends early", "says nothing"],
)
async def test_a_backend_that_breaks_its_contract_fails_its_own_answer_only(
    tmp_path: Path, chunks: Sequence[Chunk | Exception], text: str, code: str
) -> None:
    plugins = [*DEFAULTS, ("bad-backend", WithBackend(Backend(chunks)))]
    async with chatting(tmp_path, plugins=plugins) as chat:
        answer = await chat.said(model="bad/bad")
        assert (answer.status, answer.text) == (MessageStatus.FAILED, text)
        assert answer.error is not None
        assert answer.error["code"] == code
        assert "secret" not in answer.error["detail"]
        assert (await chat.said("Again?", model="llama3.2:latest")).status is MessageStatus.COMPLETE


async def test_the_default_plugins_are_all_loaded(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        assert {state.status for state in chat.app.host.states()} == {PluginStatus.LOADED}
