"""Several processes over one database: who is told what, who ends what, and which numbers are given out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from eudai_core.chat import Accepted
from eudai_core.chat.log import EventLog
from eudai_core.errors import NotFound
from eudai_core.model import ChatRequest, Chunk, Done, EventRecord, MessageStatus, RunStatus
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from support.chat_faults import beside, idle, log_of, orders, with_backend
from support.chatting import Chatting, Follower, chatting, place
from support.eventually import eventually

HALF = Reply(steps=(Piece("Half, "), Gate("gate"), Piece("and half.")))
SOON = 4.0
"""Seconds in which what the bus carries arrives; heartbeats and leases of these tests take longer."""


@asynccontextmanager
async def two(tmp_path: Path, url: str) -> AsyncIterator[tuple[Chatting, Chatting]]:
    """Open two processes; the second one claims nothing."""
    async with (
        chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": url}) as chat,
        beside(chat, url, background=True) as other,
    ):
        await idle(other)
        yield chat, other


async def half(chat: Chatting, asker: Chatting | None = None) -> Accepted:
    """Ask, and return when half of the answer is in the log."""
    chat.ollama.script(HALF)
    async with chat.follow() as follower:
        accepted = await (asker or chat).ask()
        chat.app.supervisor.wake()
        await follower.until("delta")
    await chat.app.supervisor._log.flush()
    return accepted


async def held_by_a_dead_process(chat: Chatting) -> None:
    now = chat.app.clock.now()
    async with chat.app.storage.unit_of_work() as unit:
        until = now + timedelta(hours=1)
        await unit.conversations.lease(chat.conversation.id, owner="dead", now=now, until=until, headroom=100)
        await unit.commit()


async def over(chat: Chatting, *, owner: str = "nobody") -> None:
    """Have the leases of conversations be over, except those of an owner."""
    async with chat.app.storage.unit_of_work() as unit:
        await unit.conversations.void_leases(except_owner=owner)
        await unit.commit()


def kinds(events: list[EventRecord], run_id: UUID) -> list[str]:
    return [event.type for event in events if event.run_id == run_id]


async def test_a_run_that_was_to_stop_and_went_back_into_the_queue_is_ended_by_the_next_claimer(
    postgres_url: str, tmp_path: Path
) -> None:
    async with chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat:
        async with beside(chat, postgres_url) as other:
            await held_by_a_dead_process(chat)
            accepted = await other.ask()
            chat.app.supervisor.wake()
            await eventually(lambda: claimed(chat, accepted))
            await other.app.chat.stop(other.identity, other.conversation.id, run_id=accepted.run_id)
            await chat.app.drain(5)
        async with chat.app.storage.unit_of_work(readonly=True) as unit:
            run = await unit.runs.get(accepted.run_id)
        assert (run.status, run.stop_requested) == (RunStatus.QUEUED, True)
        await over(chat)
        async with beside(chat, postgres_url, background=True) as third, asyncio.timeout(SOON):
            assert (await third.answer(accepted)).status is MessageStatus.STOPPED
            events = await log_of(third, "user_message", "bot_message")
            assert kinds(events, accepted.run_id) == ["user_message", "bot_message"]
            assert (await third.said("And now?")).status is MessageStatus.COMPLETE


async def claimed(chat: Chatting, accepted: Accepted) -> bool:
    async with chat.app.storage.unit_of_work(readonly=True) as unit:
        return (await unit.runs.get(accepted.run_id)).status is RunStatus.RUNNING


@pytest.mark.parametrize("heard", [True, False])
async def test_a_queued_run_that_is_stopped_elsewhere_has_one_end_that_everybody_is_told(
    postgres_url: str, tmp_path: Path, heard: bool
) -> None:
    async with two(tmp_path, postgres_url) as (chat, other), chat.follow() as follower:
        first = await half(chat)
        second = await other.ask("Never mind?")
        other.app._remote._alone = not heard  # or the bus loses it
        await other.app.chat.stop(other.identity, other.conversation.id, run_id=second.run_id)
        if heard:
            async with asyncio.timeout(SOON):
                await follower.until("bot_message")
                assert (await other.answer(second)).status is MessageStatus.STOPPED
        chat.ollama.release("gate")
        assert (await chat.answer(first)).status is MessageStatus.COMPLETE
        async with asyncio.timeout(SOON):
            await follower.until("bot_message", 2)
        assert (await chat.answer(second)).status is MessageStatus.STOPPED
        for run_id in (first.run_id, second.run_id):
            events = await log_of(chat, "user_message", "bot_message")
            assert kinds(events, run_id) == ["user_message", "bot_message"]
        assert orders([frame.seq for frame in follower.frames])


async def test_subscribers_in_another_process_hear_an_answer_while_it_is_made(
    postgres_url: str, tmp_path: Path
) -> None:
    async with two(tmp_path, postgres_url) as (chat, other), other.follow() as follower:
        accepted = await half(chat)
        async with asyncio.timeout(SOON):
            await follower.until("delta")
        async with other.follow() as late, other.follow(0) as all_of_it, asyncio.timeout(SOON):
            (snapshot,) = await late.until("snapshot")
            assert snapshot.payload["content"] == "Half, "
            chat.ollama.release("gate")
            readers: tuple[Follower, ...] = (follower, late, all_of_it)
            for reader in readers:
                await reader.until("bot_message")
        text = (await chat.answer(accepted)).text
        for reader in readers:
            before_the_end = [frame for frame in reader.frames if frame.type != "bot_message"]
            assert place(before_the_end, accepted.answer_id) == text == "Half, and half."
            assert orders([frame.seq for frame in reader.frames if frame.type != "snapshot"])


async def test_a_subscriber_hears_in_order_what_several_processes_make(postgres_url: str, tmp_path: Path) -> None:
    async with chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat:
        async with (
            beside(chat, postgres_url, background=True) as other,
            chat.follow() as here,
            other.follow() as there,
            asyncio.timeout(20),
        ):
            answers = []
            for number, (maker, resting) in enumerate(((chat, other), (other, chat), (chat, other))):
                await idle(resting)
                maker.app.supervisor._draining = False
                maker.app.supervisor._claiming = asyncio.create_task(maker.app.supervisor._claim_on())
                accepted = await resting.ask(f"Question {number}?")
                answers.append((accepted, await resting.answer(accepted)))
                for reader in (here, there):
                    await reader.until("bot_message", number + 1)
        log = await log_of(chat, "user_message", "bot_message")
        assert [event.type for event in log] == ["user_message", "bot_message"] * 3
        for reader in (here, there):
            assert orders([frame.seq for frame in reader.frames])
            for accepted, answer in answers:
                assert place([one for one in reader.frames if one.type != "bot_message"], accepted.answer_id) == (
                    answer.text
                )


async def test_who_makes_an_answer_tells_first_what_another_process_told(postgres_url: str, tmp_path: Path) -> None:
    async with two(tmp_path, postgres_url) as (chat, other), chat.follow() as follower:
        other.app._remote._alone = True  # the bus loses everything
        accepted = await other.ask()
        chat.app.supervisor.wake()
        async with asyncio.timeout(SOON):
            await follower.until("bot_message")
        assert follower.types()[:2] == ["user_message", "title"]
        assert (await chat.answer(accepted)).status is MessageStatus.COMPLETE


async def test_a_run_is_stopped_at_once_from_another_process(postgres_url: str, tmp_path: Path) -> None:
    async with two(tmp_path, postgres_url) as (chat, other):
        accepted = await half(chat)
        begun = asyncio.get_running_loop().time()
        await other.app.chat.stop(other.identity, other.conversation.id)
        await chat.ollama.disconnected()
        answer = await chat.answer(accepted)
        assert asyncio.get_running_loop().time() - begun < SOON
        assert (answer.status, answer.text) == (MessageStatus.STOPPED, "Half, ")


@pytest.mark.parametrize("what", ["conversation", "project"])
async def test_a_deletion_elsewhere_ends_subscriptions_and_runs(postgres_url: str, tmp_path: Path, what: str) -> None:
    async with two(tmp_path, postgres_url) as (chat, other), chat.follow() as follower:
        await half(chat)
        await follower.until("delta")
        if what == "conversation":
            await other.app.conversations.delete(other.identity, other.conversation.id)
        else:
            await other.app.projects.delete(other.identity, other.project.id)
        async with asyncio.timeout(SOON):
            with pytest.raises(NotFound):
                await follower.until("bot_message")
            await chat.ollama.disconnected()


async def test_who_may_have_missed_something_looks_into_the_log(postgres_url: str, tmp_path: Path) -> None:
    async with two(tmp_path, postgres_url) as (chat, other), other.follow() as follower:
        chat.app._remote._alone = True  # the bus loses everything
        await chat.said()
        assert follower.frames == []
        other.app.chat.heard_of_log(None)
        async with asyncio.timeout(SOON):
            await follower.until("bot_message")


async def test_nothing_comes_into_the_log_before_what_is_numbered_lower(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked, go = asyncio.Event(), asyncio.Event()
    write = EventLog._write

    async def stand(self: EventLog, records: list[EventRecord], texts: list[tuple[UUID, str, str]]) -> None:
        if blocked.is_set() or not any(record.type == "delta" for record in records):
            await write(self, records, texts)
            return
        async with self._storage.unit_of_work() as unit:
            await unit.events.append(records)
            blocked.set()
            await go.wait()
            await unit.commit()

    async with two(tmp_path, postgres_url) as (chat, other):
        monkeypatch.setattr(EventLog, "_write", stand)
        chat.ollama.script(HALF)
        accepted = await chat.ask()
        await blocked.wait()
        asking = asyncio.create_task(chat.ask("Another one?"))
        await asyncio.wait({asking}, timeout=0.5)
        everything = ("user_message", "title", "status", "context", "delta", "bot_message")
        seen = [event.seq for event in await log_of(other, *everything)]
        go.set()
        await asking
        chat.ollama.release("gate")
        await chat.answer(accepted)
        log = [event.seq for event in await log_of(other, *everything)]
        assert seen == [number for number in log if number <= max(seen)]


@pytest.mark.parametrize("noticed", ["at its end", "by its heartbeat", "by a message"])
async def test_numbers_rise_when_a_lease_ran_out_and_another_process_had_it(
    postgres_url: str, tmp_path: Path, noticed: str
) -> None:
    async with two(tmp_path, postgres_url) as (chat, other), chat.follow() as follower:
        accepted = await half(chat)
        await chat.app.supervisor._loops.aclose()  # it stands still
        channel = chat.app._channels.get(chat.conversation.id)
        assert channel is not None
        channel.expires = float("-inf")
        await over(chat)
        chat.app._channels.feed(channel, channel.answers[-1].text, "more, ")
        assert channel.flush()
        lost = channel.seq
        await other.ask("Meanwhile?")
        (theirs,) = [event.seq for event in await log_of(chat, "user_message") if event.run_id != accepted.run_id]
        assert theirs > lost
        if noticed == "by its heartbeat":
            await chat.app.supervisor.beat()
        elif noticed == "by a message":
            await chat.ask("And here?")
        chat.ollama.release("gate")
        text = (await chat.answer(accepted)).text
        assert text == "Half, more, and half."
        await follower.until("bot_message")
        log = await log_of(chat, "user_message", "delta", "bot_message")
        of_run = [event for event in log if event.run_id == accepted.run_id and event.seq > theirs]
        assert of_run[-1].type == "bot_message"
        assert all(event.seq > theirs for event in log if "more, " in event.payload["content"])
        async with other.follow(theirs) as later, asyncio.timeout(SOON):
            await later.until("bot_message")
        before = [frame for frame in follower.frames if (frame.seq or 0) <= lost and frame.type == "delta"][:1]
        pieces = [frame for frame in later.frames if frame.type == "delta"]
        assert place([*before, *pieces], accepted.answer_id) == text
        assert orders([frame.seq for frame in follower.frames])
        await idle(chat)


async def test_two_messages_at_once_follow_each_other(postgres_url: str, tmp_path: Path) -> None:
    async with two(tmp_path, postgres_url) as (chat, other):
        for number in range(6):
            pair = await asyncio.gather(chat.ask(f"One {number}?"), other.ask(f"Two {number}?"))
            for accepted in pair:
                await chat.answer(accepted)
            async with chat.app.storage.unit_of_work(readonly=True) as unit:
                parents = {(await unit.messages.get(accepted.message_id)).parent_id for accepted in pair}
            assert len(parents) == 2


async def test_a_name_given_beside_the_first_message_stays(postgres_url: str, tmp_path: Path) -> None:
    async with two(tmp_path, postgres_url) as (chat, other):
        for _ in range(10):
            chat.conversation = await chat.app.conversations.create(chat.identity, chat.project.id)
            key = chat.conversation.id
            accepted, _ = await asyncio.gather(
                chat.ask("A question?"), other.app.conversations.update(other.identity, key, title="Mine")
            )
            stored = await chat.app.conversations.get(chat.identity, key)
            assert (stored.title, stored.active_message_id) == ("Mine", accepted.answer_id)


async def test_one_command_is_one_run_over_two_processes(postgres_url: str, tmp_path: Path) -> None:
    async with chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat:
        async with beside(chat, postgres_url, background=True) as other:
            outcomes = await asyncio.gather(
                *((chat, other)[number % 2].ask("The same?", client_id="key") for number in range(20))
            )
            assert len({outcome.run_id for outcome in outcomes}) == 1
            texts = {(await process.answer(outcomes[0])).text for process in (chat, other)}
        assert len(texts) == 1
        events = await log_of(chat, "user_message", "bot_message")
        assert [event.type for event in events] == ["user_message", "bot_message"]


async def test_two_processes_share_the_places_of_a_host(postgres_url: str, tmp_path: Path) -> None:
    at_once: list[int] = []
    running: set[UUID] = set()
    full, go = asyncio.Event(), asyncio.Event()

    async def stream(request: ChatRequest) -> AsyncIterator[Chunk]:
        running.add(request.run_id)
        at_once.append(len(running))
        if len(running) == 3:
            full.set()
        await go.wait()
        running.discard(request.run_id)
        yield Chunk(text="An answer.")
        yield Chunk(done=Done())

    plugins = with_backend(stream, capacity=3)
    async with (
        chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}, plugins=plugins) as chat,
        beside(chat, postgres_url, background=True, plugins=plugins) as other,
    ):
        asked = []
        for number in range(8):
            conversation = await chat.app.conversations.create(chat.identity, chat.project.id)
            chat.conversation = other.conversation = conversation
            asked.append(await (chat, other)[number % 2].ask(model="odd/odd"))
        await full.wait()
        for process in (chat, other):
            await process.app.supervisor._claim()
        assert chat.app.supervisor.running + other.app.supervisor.running == 3
        go.set()
        for accepted in asked:
            assert (await chat.answer(accepted)).status is MessageStatus.COMPLETE
    assert max(at_once) == 3
