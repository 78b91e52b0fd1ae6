"""The server stops: in time, whatever a backend or the storage does, and with nothing lost that was not begun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from eudai_core.chat.claims import Claims
from eudai_core.errors import Draining
from eudai_core.hooks import hookimpl
from eudai_core.model import ChatRequest, Chunk, Health, HealthStatus, MessageStatus, ModelInfo, Run, RunStatus
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from support.chat_faults import DEFAULTS, beside, log_of, only_run
from support.chatting import Chatting, chatting
from support.eventually import eventually
from support.postgres import PostgresServer, migrate
from support.postgres_server import run_apart


class Deaf:
    """A backend that goes on when it is cancelled, until it is let go."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.ended = asyncio.Event()

    async def models(self) -> Sequence[ModelInfo]:
        return (ModelInfo("deaf", "deaf", 8192),)

    async def stream(self, request: ChatRequest) -> AsyncIterator[Chunk]:
        yield Chunk(text="Half")
        while not self.free.is_set():
            with suppress(asyncio.CancelledError):
                await self.free.wait()
        self.ended.set()
        yield Chunk(text=" and a late half")

    async def health(self) -> Health:
        return Health(HealthStatus.OK)

    async def aclose(self) -> None:
        return None


class WithDeaf:
    eudai_api = (0, 1)

    def __init__(self, backend: Deaf) -> None:
        self._backend = backend

    @hookimpl
    def eudai_register_llm_backends(self, register: Any) -> None:
        register("deaf", lambda context: self._backend)


async def claimed(chat: Chatting) -> int:
    return chat.app.supervisor.running


@pytest.mark.parametrize("how", ["drain", "stop"])
async def test_a_backend_that_does_not_let_itself_be_stopped_is_left_behind(tmp_path: Path, how: str) -> None:
    backend = Deaf()
    async with chatting(tmp_path, plugins=[*DEFAULTS, ("with-deaf", WithDeaf(backend))]) as chat:
        async with chat.follow() as follower:
            accepted = await chat.ask(model="deaf/deaf")
            await follower.until("delta")
            async with asyncio.timeout(5):
                if how == "drain":
                    await chat.app.drain(0)
                else:
                    await chat.app.chat.stop(chat.identity, chat.conversation.id)
                    await follower.until("bot_message")
            backend.free.set()
            await backend.ended.wait()
            await asyncio.sleep(0)
            async with chat.app._channels.use(chat.conversation.id) as channel:
                assert channel.flush()
                assert [event.payload["content"] for event in channel.pending()] == []
                assert not any(part.waiting for answer in channel.answers for part in answer.texts)
        answer = await chat.answer(accepted)
        assert (str(answer.status), answer.text) == ("interrupted" if how == "drain" else "stopped", "Half")
        assert chat.app.supervisor.running == 0


async def test_a_drain_without_storage_ends_and_the_text_is_found_later(
    private_postgres_server: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = private_postgres_server.create_database()
    run_apart(migrate(url))
    settings = {"EUDAI_DATABASE_URL": url}
    async with chatting(tmp_path, overrides=settings) as chat:
        chat.ollama.script(Reply(steps=(Piece("Half of"), Gate("gate"))))
        async with chat.follow() as follower:
            accepted = await chat.ask()
            await follower.until("delta")
        await chat.app.supervisor._log.flush()
        private_postgres_server.stop()
        async with asyncio.timeout(10):
            await chat.app.drain(0)
        assert chat.app.supervisor.running == 0
        assert not any("cannot be ended in time" in record.getMessage() for record in caplog.records)
        private_postgres_server.start()
        async with beside(chat, url, ahead=timedelta(hours=1)) as next_one:
            await next_one.app.supervisor.recover()
            answer = await next_one.answer(accepted)
        assert (answer.status, answer.text) == (MessageStatus.INTERRUPTED, "Half of")


async def test_a_claim_under_way_is_awaited_and_what_it_took_goes_back(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, claimed, go_on = Claims.take, asyncio.Event(), asyncio.Event()

    async def slowly(self: Claims, *, look_first: bool) -> Sequence[Run]:
        runs = await take(self, look_first=look_first)
        if runs:
            claimed.set()
            await go_on.wait()
        return runs

    with monkeypatch.context() as patch:
        patch.setattr(Claims, "take", slowly)
        await chat.ask("Later?")
        await claimed.wait()
        assert (await only_run(chat)).status is RunStatus.RUNNING
        draining = asyncio.create_task(chat.app.drain(20))
        await asyncio.sleep(0)
        assert not draining.done()
        go_on.set()
        await draining
    run = await only_run(chat)
    assert (run.status, run.owner) == (RunStatus.QUEUED, None)
    assert await log_of(chat, "bot_message") == []
    assert chat.ollama.chats == []


async def test_a_run_that_waits_for_its_conversation_goes_back_and_is_made_elsewhere(
    postgres_url: str, tmp_path: Path
) -> None:
    async with (
        chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat,
        beside(chat, postgres_url) as holder,
        holder.app._channels.use(chat.conversation.id) as channel,
    ):
        with channel.holding():
            await holder.app._channels.hold(channel)
            accepted = await chat.ask("Whose?")
            await eventually(lambda: claimed(chat))
            await chat.app.drain(20)
            assert (await only_run(chat)).status is RunStatus.QUEUED
            async with holder.app.storage.unit_of_work() as unit:
                await holder.app._channels.let_go(unit, chat.conversation.id)
                await unit.commit()
        async with beside(chat, postgres_url, background=True) as heir:
            assert (await heir.answer(accepted)).status is MessageStatus.COMPLETE
        assert len(await log_of(chat, "user_message")) == 1


async def test_the_end_of_the_server_is_not_told_as_a_deletion(chat: Chatting) -> None:
    async with chat.follow() as follower:
        await chat.said()
        chat.app._channels.close()
        await follower.until("bot_message")  # what was due comes first
        with pytest.raises(Draining):
            await follower.until("never")
