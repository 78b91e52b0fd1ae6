"""Backends and storages that do odd things: every run has its true end, and nobody else is held up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from eudai_core.chat import Accepted, recovery
from eudai_core.chat.channel import RESERVE
from eudai_core.chat.log import TRIES
from eudai_core.chat.opening import Opening
from eudai_core.chat.turn import Turn
from eudai_core.errors import BackendBusy, BackendError, Conflict
from eudai_core.model import ChatRequest, Chunk, Done, EventRecord, MessageStatus, Run, RunStatus
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from eudai_sql.contexts import SqlContexts
from eudai_sql.conversations import SqlConversations
from eudai_sql.events import SqlEvents
from eudai_sql.messages import SqlMessages
from support.chat_faults import idle, log_of, only_run, orders, with_backend
from support.chatting import Chatting, chatting, place
from support.eventually import eventually

HALF = Reply(steps=(Piece("Half, "), Gate("gate"), Piece("and half.")))
FAILED, COMPLETE = MessageStatus.FAILED, MessageStatus.COMPLETE


async def ends(chat: Chatting) -> list[tuple[UUID | None, str]]:
    return [(event.run_id, event.payload["status"]) for event in await log_of(chat, "bot_message")]


async def half(chat: Chatting) -> Accepted:
    """Ask, and return when half of the answer is in the log."""
    chat.ollama.script(HALF)
    async with chat.follow() as follower:
        accepted = await chat.ask()
        await follower.until("delta")
    await chat.app.supervisor._log.flush()
    return accepted


async def another(chat: Chatting) -> Chatting:
    conversation = await chat.app.conversations.create(chat.identity, chat.project.id)
    return replace(chat, conversation=conversation)


@pytest.mark.parametrize(
    ("odd", "status", "code"),
    [
        (BackendError("bad \x00 \ud800 here"), FAILED, "llm_failed"),
        (BackendBusy("busy", retry_after=float("inf")), FAILED, "llm_busy"),
        (BaseException("whatever"), FAILED, "llm_failed"),
        (GeneratorExit(), FAILED, "llm_failed"),
        (BaseExceptionGroup("many", [BaseException("one")]), FAILED, "llm_failed"),
        (asyncio.CancelledError(), FAILED, "llm_failed"),
        (None, FAILED, "llm_failed"),
        (Chunk(text=5), FAILED, "llm_failed"),  # type: ignore[arg-type]  # that is the fault
        (Chunk(phase="odd\x00"), COMPLETE, None),  # type: ignore[arg-type]  # that is the fault
        (Chunk(done=Done(prompt_tokens=float("nan"))), COMPLETE, None),  # type: ignore[arg-type]  # that is the fault
        (Chunk(done=Done(prompt_tokens="3\x00")), COMPLETE, None),  # type: ignore[arg-type]  # that is the fault
        (Chunk(done=Done(prompt_tokens=10**400, completion_tokens=-1)), COMPLETE, None),
    ],
    ids=repr,
)
async def test_whatever_a_backend_does_the_run_has_its_true_end(
    database_url: str, tmp_path: Path, odd: Any, status: MessageStatus, code: str | None
) -> None:
    async def stream(request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(text="Half")
        if isinstance(odd, BaseException):
            raise odd
        yield odd
        yield Chunk(done=Done())

    settings = {"EUDAI_DATABASE_URL": database_url}
    async with chatting(tmp_path / "data", overrides=settings, plugins=with_backend(stream)) as chat:
        accepted = await chat.ask(model="odd/odd")
        answer = await chat.answer(accepted)
        assert (answer.status, answer.text) == (status, "Half")
        assert (answer.error["code"] if answer.error else None) == code
        assert answer.usage is not None
        assert answer.usage.prompt_tokens is None
        assert await ends(chat) == [(accepted.run_id, status)]


async def test_a_context_record_that_is_odd_does_not_harm_the_answer(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(SqlContexts, "put", refuse)
    accepted = await chat.ask()
    assert (await chat.answer(accepted)).status is COMPLETE
    assert await ends(chat) == [(accepted.run_id, "complete")]


@pytest.mark.parametrize(("tries", "status"), [(1, COMPLETE), (2, FAILED)])
@pytest.mark.parametrize("error", [RuntimeError("odd"), Conflict("odd")], ids=repr)
async def test_an_end_that_cannot_be_stored_is_stored_as_a_failure_with_the_text(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch, tries: int, status: MessageStatus, error: Exception
) -> None:
    finish = SqlMessages.finish
    failed: list[int] = []

    async def refuse(self: SqlMessages, *arguments: Any, **named: Any) -> None:
        if len(failed) < tries:
            failed.append(1)
            raise error
        await finish(self, *arguments, **named)

    monkeypatch.setattr(SqlMessages, "finish", refuse)
    chat.ollama.script(Reply.of("An answer."))
    accepted = await chat.ask()
    answer = await chat.answer(accepted)
    assert (answer.status, answer.text) == (status, "An answer.")
    assert await ends(chat) == [(accepted.run_id, status)]


@pytest.mark.parametrize(("tries", "status"), [(1, COMPLETE), (9, FAILED)])
async def test_a_run_that_cannot_begin_is_queued_once_more_and_then_fails(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch, tries: int, status: MessageStatus
) -> None:
    begin = Opening.begin
    failed: list[int] = []

    async def refuse(self: Opening, *arguments: Any, **named: Any) -> Any:
        if len(failed) < tries:
            failed.append(1)
            raise RuntimeError("odd")
        return await begin(self, *arguments, **named)

    monkeypatch.setattr(Opening, "begin", refuse)
    accepted = await chat.ask()
    assert (await chat.answer(accepted)).status is status
    assert len(failed) <= 2
    assert await ends(chat) == [(accepted.run_id, status)]


async def test_an_answer_of_very_many_pieces_takes_more_numbers_and_keeps_some_for_its_end(
    database_url: str, tmp_path: Path
) -> None:
    more = asyncio.Event()

    async def stream(request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(text="x")
        channel = next(iter(chat.app._channels))
        channel.ceiling = channel.seq + RESERVE + 5
        for number in range(40):
            yield Chunk(thinking="t") if number % 2 else Chunk(text="x")
        assert not channel.may_number
        more.set()
        while not channel.may_number:  # noqa: ASYNC110 -- the application takes them by itself
            await asyncio.sleep(0.01)
        for number in range(40):
            yield Chunk(thinking="t") if number % 2 else Chunk(text="x")
        channel.ceiling = channel.seq + RESERVE
        await chat.app.supervisor._loops.aclose()
        for number in range(40):
            yield Chunk(thinking="t") if number % 2 else Chunk(text="x")
        yield Chunk(done=Done())

    settings = {"EUDAI_DATABASE_URL": database_url, "EUDAI_RUN_LEASE_S": "300"}
    async with chatting(tmp_path / "data", overrides=settings, plugins=with_backend(stream)) as chat:
        async with chat.follow() as follower, asyncio.timeout(20):
            accepted = await chat.ask(model="odd/odd")
            await more.wait()
            answer = await chat.answer(accepted)
            await follower.until("bot_message")
        assert (answer.status, answer.text, answer.thinking) == (COMPLETE, "x" * 61, "t" * 60)
        pieces = [frame for frame in follower.frames if frame.type != "bot_message"]
        assert place(pieces, accepted.answer_id) == answer.text
        assert place(pieces, accepted.answer_id, "thinking") == answer.thinking
        assert orders([frame.seq for frame in follower.frames])


@pytest.mark.parametrize("claimed", [True, False])
async def test_a_continued_answer_that_is_stopped_in_the_queue_is_what_it_was(chat: Chatting, claimed: bool) -> None:
    first = await half(chat)
    await chat.app.chat.stop(chat.identity, chat.conversation.id)
    before = await chat.answer(first)
    assert before.usage is not None
    await idle(chat)
    again = await chat.app.chat.resume_answer(chat.identity, chat.conversation.id, message_id=before.id)
    if claimed:
        async with chat.app.storage.unit_of_work() as unit:
            await unit.runs.request_stop(again.run_id, at=chat.app.clock.now(), end=False)
            await unit.commit()
        chat.app.supervisor._draining = False
        await chat.app.supervisor._claim()
    else:
        await chat.app.chat.stop(chat.identity, chat.conversation.id)
    assert await chat.answer(again) == before
    assert [run_id for run_id, _ in await ends(chat)] == [first.run_id, again.run_id]


async def test_a_run_that_cannot_be_ended_does_not_keep_others_from_it(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "BATCH", 1)
    made = await half(chat)
    run = await only_run(chat)
    await idle(chat)
    asked = [await (await another(chat)).ask() for _ in range(3)]
    now = chat.app.clock.now()
    async with chat.app.storage.unit_of_work() as unit:
        await unit.runs.claim(owner="dead", now=now, until=now, capacity={(run.backend, run.host): 9}, limit=9)
        await unit.runs.heartbeat([made.run_id], owner=chat.app.instance, until=now)
        await unit.commit()
    end, odd = recovery.Recovery._end, asked[0].run_id

    async def refuse(self: recovery.Recovery, run: Run) -> bool:
        if run.id == odd:
            raise RuntimeError("odd")
        return await end(self, run)

    monkeypatch.setattr(recovery.Recovery, "_end", refuse)
    await chat.app.supervisor.recover()
    async with chat.app.storage.unit_of_work(readonly=True) as unit:
        found = [(await unit.runs.get(one.run_id)).status for one in (made, *asked)]
    assert found == [RunStatus.RUNNING, RunStatus.RUNNING, RunStatus.INTERRUPTED, RunStatus.INTERRUPTED]
    chat.ollama.release("gate")
    assert (await chat.answer(made)).status is COMPLETE


async def test_events_that_cannot_be_written_do_not_hold_up_those_of_others(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await another(chat)
    append, log = SqlEvents.append, chat.app.supervisor._log
    tries: list[int] = []

    async def refuse(self: SqlEvents, events: Sequence[EventRecord]) -> None:
        if any(event.conversation_id == chat.conversation.id for event in events):
            tries.append(1)
            raise RuntimeError("odd")
        await append(self, events)

    await half(chat)
    await chat.ollama.standing("gate")
    await eventually(lambda: log_of(chat, "context"))
    await chat.app.supervisor._loops.aclose()
    await log.flush()
    channel = chat.app._channels.get(chat.conversation.id)
    assert channel is not None
    with monkeypatch.context() as patch:
        patch.setattr(SqlEvents, "append", refuse)
        for number in range(TRIES):
            assert channel.settled is (number == 0)
            async with other.app._channels.use(other.conversation.id) as others:
                with others.holding():
                    assert await other.app._channels.hold(others)
                    others.emit("title", {"title": f"{number}"}, None)
                    channel.emit("title", {"title": f"{number}"}, None)
                    await log.flush()
        assert len(await log_of(other, "title")) == TRIES
        assert channel.settled
        assert tries
    assert await log_of(chat, "title", "delta") != []
    await idle(chat)


async def test_leases_are_renewed_in_one_order(chat: Chatting, monkeypatch: pytest.MonkeyPatch) -> None:
    lease, order = SqlConversations.lease, []

    async def note(self: SqlConversations, conversation_id: UUID, **named: Any) -> Any:
        if named["headroom"]:  # not one that is given back
            order.append(conversation_id)
        return await lease(self, conversation_id, **named)

    await idle(chat)
    views = [await another(chat) for _ in range(3)]
    async with AsyncExitStack() as stack:
        turns = []
        for view in views:
            await view.ask()
            turns.append(Turn(await only_run(view), begun=True))
            await stack.enter_async_context(chat.app._channels.use(view.conversation.id))
        monkeypatch.setattr(SqlConversations, "lease", note)
        await chat.app.supervisor._heartbeat.beat(turns[::-1])
        await chat.app.supervisor._heartbeat.beat(turns)
    assert order == sorted(view.conversation.id for view in views) * 2
