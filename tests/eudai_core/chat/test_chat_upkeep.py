"""What goes on behind the answers: loops that outlive faults, batches that are not lost, lists that are remembered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from eudai_core.chat.loops import Loops
from eudai_core.errors import Conflict, StorageUnavailable
from eudai_core.model import EventRecord, MessageStatus
from eudai_core.testing import FrozenClock
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from eudai_sql.events import SqlEvents
from eudai_sql.plugin_states import SqlPluginStates
from support.chat_faults import Jumping, log_of
from support.chatting import Chatting, chatting
from support.eventually import eventually


@pytest.mark.parametrize("fault", [StorageUnavailable("It does not answer."), RuntimeError("a fault")])
async def test_a_loop_outlives_its_faults_and_tells_their_begin_and_end(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    clock, faults, done = FrozenClock(), [fault, fault, fault], []

    async def step() -> None:
        if faults:
            raise faults.pop()
        done.append(1)

    loops = Loops(clock)
    loops.every(1.0, "the step", step)
    for _ in range(6):
        await clock.sleeping()
        clock.advance(1.0)
        await asyncio.sleep(0)
    await clock.sleeping()
    await loops.aclose()
    assert len(done) >= 2
    levels = [record.levelno for record in caplog.records if "the step" in record.getMessage()]
    assert levels == [logging.ERROR if isinstance(fault, RuntimeError) else logging.WARNING, logging.WARNING]


@pytest.mark.parametrize("error", [StorageUnavailable("It does not answer."), RuntimeError("a fault"), None])
async def test_a_batch_that_fails_anywhere_is_written_with_the_next_one(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    """The first try is refused for a reason of one conversation, and the second one, each for itself, breaks."""
    chat.ollama.script(Reply(steps=(Piece("Half, "), Gate("gate"), Piece("and half."))))
    tries: list[int] = []
    waiting = asyncio.Event()

    async def refuse(self: SqlEvents, events: Sequence[EventRecord]) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise Conflict("one of them cannot be written")
        if error is not None:
            raise error
        waiting.set()
        await asyncio.Event().wait()

    async with chat.follow() as follower:
        accepted = await chat.ask()
        await follower.until("delta")
        await follower.until("context")
        log = chat.app.supervisor._log
        await chat.app.supervisor._loops.aclose()  # nobody else writes
        await log.flush()
        chat.app._channels.feed(channel := await opened(chat), channel.answers[-1].text, "more, ")
        assert channel.flush()
        with monkeypatch.context() as patch:
            patch.setattr(SqlEvents, "append", refuse)
            flushing = asyncio.create_task(log.flush())
            if error is None:
                await waiting.wait()
                flushing.cancel()
            await asyncio.wait({flushing})
            told = error if isinstance(error, StorageUnavailable) else None  # the storage works: others go on
            assert flushing.cancelled() or flushing.exception() is told
        assert channel._in_flight == {}
        assert not channel.settled
        await log.flush()
        assert channel.settled
        assert [event.payload["content"] for event in await log_of(chat, "delta")][-1] == "more, "
        chat.ollama.release("gate")
        await follower.until("bot_message")
    assert (await chat.answer(accepted)).text == "Half, more, and half."


async def opened(chat: Chatting) -> Any:
    async with chat.app._channels.use(chat.conversation.id) as channel:
        return channel


async def test_a_process_that_stood_still_writes_nothing_before_it_knows_its_leases(chat: Chatting) -> None:
    chat.ollama.script(Reply(steps=(Piece("Half, "), Gate("gate"), Piece("and half."))))
    async with chat.follow() as follower:
        accepted = await chat.ask()
        await follower.until("delta")
        await chat.app.supervisor._log.flush()
        channel = await opened(chat)
        channel.expires = chat.app.clock.monotonic() - 1
        chat.app._channels.feed(channel, channel.answers[-1].text, "more, ")
        assert channel.flush()
        await chat.app.supervisor._log.flush(partials=True)
        assert [event.payload["content"] for event in await log_of(chat, "delta")] == ["Half, "]
        await chat.app.supervisor.beat()
        await chat.app.supervisor._log.flush()
        assert [event.payload["content"] for event in await log_of(chat, "delta")] == ["Half, ", "more, "]
        chat.ollama.release("gate")
        await follower.until("bot_message")
    assert (await chat.answer(accepted)).text == "Half, more, and half."


async def test_a_backend_that_hangs_holds_up_nobody_who_knows_its_models(tmp_path: Path) -> None:
    clock = Jumping()
    async with chatting(tmp_path, clock=clock) as chat:
        known = await chat.app.models.available()
        for path in ("/api/tags", "/api/version", "/api/ps", "/api/show"):
            chat.ollama.hold(path)
        clock.passed = 60.0
        async with asyncio.timeout(3):
            assert await chat.app.models.available() == known
            assert (await chat.said()).status is MessageStatus.COMPLETE
        for path in ("/api/tags", "/api/version", "/api/ps", "/api/show"):
            chat.ollama.release(path)
        await chat.app.models.available(fresh=True)


async def test_a_new_model_is_there_at_once_when_its_backend_is_quick(tmp_path: Path) -> None:
    clock = Jumping()
    async with chatting(tmp_path, clock=clock) as chat:
        await chat.app.models.available()
        chat.ollama.remove("llama3.2:latest")
        clock.passed = 60.0
        assert "llama3.2:latest" not in [model.name for model in await chat.app.models.available()]


async def test_the_states_of_plugins_are_written_again_after_any_fault(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, written = FrozenClock(), []

    async def write(self: SqlPluginStates, *arguments: Any, **named: Any) -> None:
        written.append(1)
        if len(written) < 3:
            raise RuntimeError("a fault")

    monkeypatch.setattr(SqlPluginStates, "save", write)
    watch = chat.app.health_watch
    monkeypatch.setattr(watch, "_clock", clock)
    running = asyncio.create_task(watch.run())
    for _ in range(3):
        await clock.sleeping()
        clock.advance(1.0)
        await asyncio.sleep(0)
    await eventually(lambda: count(written, 3))
    assert not running.done()
    running.cancel()
    await asyncio.wait({running})
    assert [record.levelno for record in caplog.records if "states of the plugins" in record.getMessage()] == [
        logging.ERROR
    ]


async def count(items: list[int], least: int) -> bool:
    return len(items) >= least
