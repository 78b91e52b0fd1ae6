"""The event log keeps what readers may come back for, and no more; a reader that comes later misses no text."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from eudai_core.chat import trimming
from eudai_core.model import MessageStatus
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from support.chat_faults import Jumping, beside, log_of, orders
from support.chatting import Chatting, chatting, place

WORDS = [f"word{number} " for number in range(20)]
DAY = timedelta(hours=24, minutes=1)


def clock_of(chat: Chatting) -> Jumping:
    assert isinstance(chat.app.clock, Jumping)
    return chat.app.clock


async def trim(chat: Chatting) -> int:
    return await chat.app.supervisor._trimmer.step()


async def test_events_are_kept_for_a_day_and_messages_for_ever(database_url: str, tmp_path: Path) -> None:
    settings = {"EUDAI_DATABASE_URL": database_url}
    async with chatting(tmp_path / "data", overrides=settings, clock=Jumping()) as chat:
        answer = await chat.said()
        clock_of(chat).ahead = timedelta(hours=23)
        assert await trim(chat) == 0
        clock_of(chat).ahead = DAY
        assert await trim(chat) == 1
        assert await log_of(chat, "user_message", "delta", "bot_message") == []
        assert (await chat.messages())[-1].text == answer.text
        assert await trim(chat) == 0


async def test_how_long_events_are_kept_can_be_set(database_url: str, tmp_path: Path) -> None:
    settings = {"EUDAI_DATABASE_URL": database_url, "EUDAI_EVENT_RETENTION_HOURS": "1"}
    async with chatting(tmp_path / "data", overrides=settings, clock=Jumping()) as chat:
        await chat.said()
        clock_of(chat).ahead = timedelta(hours=2)
        assert await trim(chat) == 1


async def test_a_step_of_trimming_is_bounded(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trimming, "BATCH", 1)
    monkeypatch.setattr(trimming, "BATCHES", 2)
    settings = {"EUDAI_DATABASE_URL": database_url}
    async with chatting(tmp_path / "data", overrides=settings, clock=Jumping()) as chat:
        for _ in range(3):
            await chat.said()
        clock_of(chat).ahead = DAY
        assert [await trim(chat), await trim(chat), await trim(chat)] == [2, 1, 0]


async def test_several_processes_trim_at_once(postgres_url: str, tmp_path: Path) -> None:
    settings = {"EUDAI_DATABASE_URL": postgres_url}
    async with (
        chatting(tmp_path, overrides=settings, clock=Jumping()) as chat,
        beside(chat, postgres_url, ahead=DAY) as other,
    ):
        for _ in range(3):
            await chat.said()
        clock_of(chat).ahead = DAY
        assert sum(await asyncio.gather(trim(chat), trim(other), trim(chat), trim(other))) == 3
        assert await log_of(chat, "bot_message") == []


async def test_a_reader_of_what_was_trimmed_gets_a_snapshot_of_an_answer_that_has_ended(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"EUDAI_DATABASE_URL": database_url}
    async with chatting(tmp_path / "data", overrides=settings, clock=Jumping()) as chat:
        chat.ollama.script(Reply.of(*WORDS))
        async with chat.follow() as follower:
            accepted = await chat.ask()
            await follower.until("delta")
        after = follower.frames[-1].seq
        answer = await chat.answer(accepted)
        clock_of(chat).ahead = DAY
        await trim(chat)
        async with chat.follow(after) as again:
            await again.until("snapshot")
            await chat.said("Next?")
            await again.until("bot_message")
    assert again.types()[0] == "snapshot"
    assert again.frames[0].payload["status"] == "complete"
    assert place([*follower.frames, *again.frames], accepted.answer_id) == answer.text == "".join(WORDS)
    assert orders([frame.seq for frame in again.frames])


@pytest.mark.parametrize("where", ["here", "elsewhere"])
async def test_a_reader_of_what_was_trimmed_gets_the_running_answer_and_its_rest(
    postgres_url: str, tmp_path: Path, where: str
) -> None:
    settings = {"EUDAI_DATABASE_URL": postgres_url}
    async with (
        chatting(tmp_path, overrides=settings, clock=Jumping()) as chat,
        beside(chat, postgres_url, ahead=DAY) as other,
    ):
        await chat.said("First?")
        clock_of(chat).ahead = DAY
        chat.ollama.script(Reply(steps=(Piece("One, "), Gate("gate"), Piece("two, "), Piece("three."))))
        async with chat.follow() as follower:
            accepted = await chat.ask("Second?")
            await follower.until("delta")
        await chat.app.supervisor._log.flush()
        await trim(chat)
        reader = chat if where == "here" else other
        async with reader.follow(1) as again:
            await again.until("snapshot")
            snapshot = again.frames[0].payload
            assert (snapshot["content"], snapshot["message_id"]) == ("One, ", str(accepted.answer_id))
            assert snapshot["run_id"] == str(accepted.run_id)
            chat.ollama.release("gate")
            answer = await chat.answer(accepted)
            if where == "elsewhere":
                await again.subscription.seek(again.frames[-1].seq)
            await again.until("bot_message")
        assert again.types()[1:].count("snapshot") == 0
        frames = [frame for frame in again.frames if frame.type != "bot_message"]
        assert place(frames, accepted.answer_id) == answer.text == "One, two, three."
        assert orders([frame.seq for frame in again.frames])


async def test_an_answer_that_is_continued_long_after_survives_a_crash(postgres_url: str, tmp_path: Path) -> None:
    settings = {"EUDAI_DATABASE_URL": postgres_url}
    async with (
        chatting(tmp_path, overrides=settings, clock=Jumping()) as chat,
        beside(chat, postgres_url, ahead=3 * DAY) as other,
    ):
        chat.ollama.script(
            Reply(steps=(Piece("One, "), Gate("first"))), Reply(steps=(Piece("two, "), Gate("second"), Piece("three.")))
        )
        async with chat.follow() as follower:
            accepted = await chat.ask()
            await follower.until("delta")
            await chat.app.chat.stop(chat.identity, chat.conversation.id)
            await follower.until("bot_message")
            clock_of(chat).ahead = DAY
            assert await trim(chat) == 1
            await chat.app.chat.resume_answer(chat.identity, chat.conversation.id, message_id=accepted.answer_id)
            await follower.until("delta", 2)
            await chat.app.supervisor._log.flush()
        await other.app.supervisor.recover()
        answer = (await other.messages())[-1]
        assert (answer.status, answer.text) == (MessageStatus.INTERRUPTED, "One, two, ")
