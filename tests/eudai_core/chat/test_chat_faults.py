"""What must not happen when things happen at once, or where they should not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from logging import WARNING
from pathlib import Path
from typing import Any

import pytest

from eudai_core.chat import progress
from eudai_core.chat.answer import LiveAnswer
from eudai_core.chat.channel import Channel
from eudai_core.chat.opening import Material, Opening
from eudai_core.chat.waiters import Waiters
from eudai_core.errors import InvalidInput, NotFound, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import EventRecord, MessageStatus, Run
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from eudai_sql.contexts import SqlContexts
from support.chat_faults import Jumping, beside
from support.chatting import Chatting, chatting
from support.eventually import eventually


async def logged(chat: Chatting, kind: str) -> Sequence[EventRecord] | None:
    async with chat.app.storage.unit_of_work(readonly=True) as unit:
        events = await unit.events.after(chat.conversation.id, 0, limit=1000)
    return [event for event in events if event.type == kind] or None


async def another(chat: Chatting) -> Chatting:
    conversation = await chat.app.conversations.create(chat.identity, chat.project.id)
    return replace(chat, conversation=conversation)


async def test_a_deleted_conversation_does_not_hold_up_the_log_of_others(chat: Chatting) -> None:
    other = await another(chat)
    chat.ollama.hold("gate")
    chat.ollama.script(*(Reply(steps=(Piece("Begun."), Gate("gate"))) for _ in range(2)))
    await chat.ask("Mine?")
    await chat.ollama.standing("gate")
    accepted = await other.ask("The other?")
    await chat.ollama.standing("gate", 2)
    await chat.app.conversations.delete(chat.identity, chat.conversation.id)
    assert await eventually(lambda: logged(other, "delta"))
    chat.ollama.release("gate")
    assert (await other.answer(accepted)).text == "Begun."


async def test_a_conversation_deleted_by_another_process_harms_nobody(chat: Chatting) -> None:
    other = await another(chat)
    chat.ollama.hold("gate")
    chat.ollama.script(*(Reply(steps=(Piece("Begun."), Gate("gate"))) for _ in range(2)))
    await chat.ask("Mine?")
    await chat.ollama.standing("gate")
    async with chat.app.storage.unit_of_work() as unit:
        await unit.conversations.delete(chat.conversation.id)
        await unit.commit()
    await other.ask("The other?")
    assert await eventually(lambda: logged(other, "delta"))
    await chat.app.supervisor.beat()
    await chat.ollama.disconnected()


async def test_characters_that_no_database_keeps_are_replaced(chat: Chatting) -> None:
    chat.ollama.script(Reply.of("a\0b"))
    answer = await chat.said()
    assert (answer.status, answer.text) == (MessageStatus.COMPLETE, "a\ufffdb")


async def test_stopping_a_queued_run_often_ends_it_once(chat: Chatting) -> None:
    chat.ollama.hold("gate")
    chat.ollama.script(Reply(steps=(Piece("One"), Gate("gate"))))
    async with chat.follow() as follower:
        await chat.ask("First?")
        await chat.ollama.standing("gate")
        second = await chat.ask("Second?")
        stops = [chat.app.chat.stop(chat.identity, chat.conversation.id, run_id=second.run_id) for _ in range(5)]
        await asyncio.gather(*stops)
        chat.ollama.release("gate")
        frames = await follower.until("bot_message", 2)
    ended = [frame.payload["run_id"] for frame in frames if frame.type == "bot_message"]
    assert sorted(ended) == sorted(set(ended))
    assert (await chat.answer(second)).status is MessageStatus.STOPPED


async def test_who_leaves_while_a_message_is_stored_takes_nothing_away(chat: Chatting) -> None:
    async with chat.follow() as follower:
        asking = asyncio.create_task(chat.ask("Still told?"))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        accepted = await chat.ask("And this one?", client_id="key")
        await follower.until(lambda frame: frame.payload.get("run_id") == str(accepted.run_id))
    numbers = [frame.seq for frame in follower.frames if frame.seq is not None]
    assert numbers == sorted(set(numbers))


async def test_a_full_queue_does_not_refuse_what_it_accepted(database_url: str, tmp_path: Path) -> None:
    settings = {"EUDAI_DATABASE_URL": database_url, "EUDAI_QUEUE_LIMIT": "1"}
    async with chatting(tmp_path / "data", overrides=settings) as chat:
        accepted = await asyncio.gather(*(chat.ask("Once?", client_id="key") for _ in range(20)))
        assert len({one.run_id for one in accepted}) == 1
        await chat.answer(accepted[0])


async def test_a_clock_that_jumps_does_not_end_one_s_own_runs(tmp_path: Path) -> None:
    clock = Jumping()
    async with chatting(tmp_path, clock=clock) as chat:
        chat.ollama.hold("gate")
        chat.ollama.script(Reply(steps=(Piece("Half, "), Gate("gate"), Piece("and half."))))
        accepted = await chat.ask()
        await chat.ollama.standing("gate")
        clock.ahead = timedelta(hours=1)
        await chat.app.supervisor.recover()
        chat.ollama.release("gate")
        answer = await chat.answer(accepted)
    assert (answer.status, answer.text) == (MessageStatus.COMPLETE, "Half, and half.")


async def test_a_rename_beside_a_turn_keeps_the_turn(chat: Chatting) -> None:
    await chat.said("First?")
    rename = chat.app.conversations.update(chat.identity, chat.conversation.id, title="Renamed")
    await asyncio.gather(rename, chat.said("Second?"))
    assert [message.text for message in await chat.messages()][::2] == ["First?", "Second?"]
    assert (await chat.app.conversations.get(chat.identity, chat.conversation.id)).title == "Renamed"


async def test_only_an_answer_can_be_the_active_message(chat: Chatting) -> None:
    accepted = await chat.ask("First?")
    await chat.answer(accepted)
    with pytest.raises(InvalidInput) as refused:
        await chat.app.conversations.update(chat.identity, chat.conversation.id, active_message_id=accepted.message_id)
    assert [error.path for error in refused.value.errors] == ["$.active_message_id"]
    await chat.said("Second?")
    shown = await chat.app.conversations.update(
        chat.identity, chat.conversation.id, active_message_id=accepted.answer_id
    )
    assert shown.active_message_id == accepted.answer_id


async def test_deleting_a_conversation_that_answers_leaves_no_trace_in_the_log(
    chat: Chatting, caplog: pytest.LogCaptureFixture
) -> None:
    chat.ollama.script(Reply(steps=(Piece("Begun."), Gate("gate"))))
    async with chat.follow() as follower:
        await chat.ask()
        await follower.until("delta")
        await chat.app.conversations.delete(chat.identity, chat.conversation.id)
        await chat.ollama.disconnected()
        await eventually(lambda: idle(chat))
        with pytest.raises(NotFound):
            await follower.until("never")
    await chat.app.supervisor._log.step()
    assert [record.getMessage() for record in caplog.records if record.exc_info or record.levelno > WARNING] == []


async def idle(chat: Chatting) -> bool:
    return chat.app.supervisor.running == 0


async def test_who_waits_for_an_answer_leaves_nothing_behind(chat: Chatting) -> None:
    waiters = chat.app.chat._endings.waiters
    chat.ollama.script(Reply(steps=(Piece("Begun."), Gate("gate"))))
    accepted = await chat.ask()
    waiting = [asyncio.create_task(chat.answer(accepted)) for _ in range(2)]
    await eventually(lambda: many(waiters))
    waiting[0].cancel()
    await asyncio.wait({waiting[0]})
    assert len(waiters) == 1
    await chat.app.conversations.delete(chat.identity, chat.conversation.id)
    with pytest.raises(NotFound):
        await waiting[1]
    assert len(waiters) == 0


async def many(waiters: Waiters) -> int:
    return len(waiters)


async def test_an_answer_that_never_ends_is_ended(chat: Chatting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "ANSWER_LENGTH", 10)
    chat.ollama.script(Reply.of("One, two, ", "three."), Reply.of("Short."))
    answer = await chat.said()
    assert (answer.status, answer.text) == (MessageStatus.FAILED, "One, two, ")
    assert answer.error is not None
    assert answer.error["code"] == "llm_stream_broken"
    assert "10 characters" in answer.error["detail"]
    assert (await chat.said("Again?")).status is MessageStatus.COMPLETE


def test_the_end_of_one_run_does_not_end_the_next_one() -> None:
    channel = Channel(new_id(), new_id(), 0)
    first, second = LiveAnswer(new_id(), new_id()), LiveAnswer(new_id(), new_id())
    channel.begin(first)
    channel.begin(second)
    channel.end(first)
    assert channel.making is second
    channel.end(second)
    assert channel.making is None


async def test_a_run_whose_begin_nobody_confirmed_tells_its_question_once(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, refused = Opening.begin, asyncio.Event()

    async def unconfirmed(self: Opening, channel: Channel, run: Run, *, again: bool = False) -> Material | None:
        material = await begin(self, channel, run, again=again)
        if material is not None and not refused.is_set():
            refused.set()
            raise StorageUnavailable("the database did not confirm")
        return material

    monkeypatch.setattr(Opening, "begin", unconfirmed)
    async with (
        chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat,
        beside(chat, postgres_url) as holder,
        holder.app._channels.use(chat.conversation.id) as channel,
        chat.follow() as follower,
    ):
        with channel.holding():
            await holder.app._channels.hold(channel)
            accepted = await chat.ask()  # the question cannot be told now
            async with holder.app.storage.unit_of_work() as unit:
                await holder.app._channels.let_go(unit, chat.conversation.id)
                await unit.commit()
        assert (await chat.answer(accepted)).status is MessageStatus.COMPLETE
        await follower.until("bot_message")
    assert refused.is_set()
    assert follower.types().count("user_message") == 1


async def test_a_record_that_could_not_be_kept_at_first_is_kept_with_the_end(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, tries = SqlContexts.put, []

    async def refuse_once(self: SqlContexts, *arguments: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise StorageUnavailable("the database does not answer")
        await put(self, *arguments)

    monkeypatch.setattr(SqlContexts, "put", refuse_once)
    answer = await chat.said()
    report = await chat.app.conversations.context(chat.identity, answer.id)
    assert len(tries) == 2
    assert report["messages"] == chat.ollama.chats[0].body["messages"]
