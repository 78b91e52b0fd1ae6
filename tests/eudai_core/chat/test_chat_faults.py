"""What must not happen when things happen at once, or where they should not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from eudai_core.clock import SystemClock
from eudai_core.model import EventRecord, MessageStatus
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from support.chatting import Chatting, chatting
from support.eventually import eventually


class Jumping(SystemClock):
    """The system's clock, until somebody sets it."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


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
    await chat.app.supervisor._heartbeat()
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
        await chat.app.supervisor._reap()
        chat.ollama.release("gate")
        answer = await chat.answer(accepted)
    assert (answer.status, answer.text) == (MessageStatus.COMPLETE, "Half, and half.")


async def test_a_rename_beside_a_turn_keeps_the_turn(chat: Chatting) -> None:
    await chat.said("First?")
    rename = chat.app.conversations.update(chat.identity, chat.conversation.id, title="Renamed")
    await asyncio.gather(rename, chat.said("Second?"))
    assert [message.text for message in await chat.messages()][::2] == ["First?", "Second?"]
    assert (await chat.app.conversations.get(chat.identity, chat.conversation.id)).title == "Renamed"
