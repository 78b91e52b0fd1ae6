"""Commits that were done and that nobody confirmed: what they tell is heard, and what they began is made."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from eudai_core.errors import StorageUnavailable
from eudai_core.model import MessageStatus, RunStatus
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from eudai_sql.runs import SqlRuns
from support.chat_faults import beside, idle, log_of, orders, unconfirmed
from support.chatting import Chatting, chatting


@pytest.mark.parametrize("making", [True, False])
async def test_a_message_that_nobody_confirmed_is_told(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch, making: bool
) -> None:
    async with chat.follow() as follower:
        if making:
            chat.ollama.script(Reply(steps=(Piece("Half, "), Gate("gate"), Piece("and half."))))
            await chat.ask("The first?")
            await follower.until("delta")
        with unconfirmed(monkeypatch, SqlRuns, "add") as broken:
            with pytest.raises(StorageUnavailable):
                await chat.ask("A question?", client_id="key")
            assert broken
        async with asyncio.timeout(5):
            await follower.until("user_message", 2 if making else 1)
        chat.ollama.release("gate")
        accepted = await chat.ask("A question?", client_id="key")
        assert (await chat.answer(accepted)).status is MessageStatus.COMPLETE
        async with asyncio.timeout(5):
            await follower.until("bot_message", 2 if making else 1)
    assert orders([frame.seq for frame in follower.frames])


async def test_a_stop_in_the_queue_that_nobody_confirmed_is_told(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await idle(chat)
    async with chat.follow() as follower:
        await chat.ask()
        await follower.until("user_message")
        with unconfirmed(monkeypatch, SqlRuns, "request_stop") as broken:
            with pytest.raises(StorageUnavailable):
                await chat.app.chat.stop(chat.identity, chat.conversation.id)
            assert broken
        async with asyncio.timeout(5):
            await follower.until("bot_message")


async def test_a_claim_that_nobody_confirmed_is_made_after_all(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"EUDAI_DATABASE_URL": database_url, "EUDAI_RUN_LEASE_S": "1"}
    async with chatting(tmp_path / "data", overrides=settings) as chat:
        with unconfirmed(monkeypatch, SqlRuns, "claim") as broken:
            accepted = await chat.ask()
            answer = await chat.answer(accepted)
            assert broken
        assert answer.status is MessageStatus.COMPLETE
        assert len(await log_of(chat, "bot_message")) == 1


async def test_a_question_that_a_dead_process_had_not_begun_is_answered(postgres_url: str, tmp_path: Path) -> None:
    async with chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat:
        await idle(chat)
        now = chat.app.clock.now()
        async with chat.app.storage.unit_of_work() as unit:
            until = now.replace(year=now.year + 1)
            await unit.conversations.lease(chat.conversation.id, owner="dead", now=now, until=until, headroom=9)
            await unit.commit()
        accepted = await chat.ask()  # not announced: the dead process has the conversation
        async with chat.app.storage.unit_of_work() as unit:
            (run,) = await unit.runs.claim(owner="dead", now=now, until=now, capacity={}, limit=1)
            await unit.conversations.void_leases(except_owner="nobody")
            await unit.commit()
        assert not run.announced
        await chat.app.supervisor.recover()
        async with chat.app.storage.unit_of_work(readonly=True) as unit:
            assert (await unit.runs.get(run.id)).status is RunStatus.QUEUED
        async with beside(chat, postgres_url, background=True) as other:
            assert (await other.answer(accepted)).status is MessageStatus.COMPLETE
        assert [event.type for event in await log_of(chat, "user_message", "bot_message")] == [
            "user_message",
            "bot_message",
        ]
