"""A run and a conversation have one holder; whoever lost them says nothing, and what is told is what is stored."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from eudai_core.chat import Accepted
from eudai_core.chat.channel import Channel
from eudai_core.chat.order import ordered
from eudai_core.errors import Conflict, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import Event, Lease, MessageStatus
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply
from eudai_sql.unit_of_work import SqlUnitOfWork
from support.chat_faults import beside, broken_ends, log_of, orders
from support.chatting import Chatting, Follower, chatting, place

LATER = timedelta(hours=1)
HALF = Reply(steps=(Piece("Half, "), Gate("gate"), Piece("and half.")))


async def half(chat: Chatting) -> Accepted:
    """Ask, and return when half of the answer is in the log."""
    chat.ollama.script(HALF)
    async with chat.follow() as follower:
        accepted = await chat.ask()
        await follower.until("delta")
    await chat.app.supervisor._log.flush()
    return accepted


def told(follower: Follower) -> list[tuple[int | None, str]]:
    return [(frame.seq, frame.payload["status"]) for frame in follower.frames if frame.type == "bot_message"]


@pytest.mark.parametrize("notices", ["at its end", "by its heartbeat"])
async def test_who_lost_a_run_tells_what_the_log_has_and_no_other_end(
    postgres_url: str, tmp_path: Path, notices: str
) -> None:
    async with chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat:
        async with chat.follow() as follower, beside(chat, postgres_url, ahead=LATER) as other:
            accepted = await half(chat)
            await other.app.supervisor.recover()
            if notices == "at its end":
                chat.ollama.release("gate")
            else:
                await chat.app.supervisor.beat()
                await chat.ollama.disconnected()
            await follower.until("bot_message")
            await chat.said("And on?")
            await follower.until("bot_message", 2)
        ends = [(event.seq, event.payload["status"]) for event in await log_of(chat, "bot_message")]
        assert told(follower) == ends
        assert [status for _, status in ends] == ["interrupted", "complete"]
        assert orders([frame.seq for frame in follower.frames])
        assert (await chat.answer(accepted)).text == "Half, "
        assert chat.app.supervisor.running == 0


async def test_who_lost_a_conversation_lets_its_run_go_without_a_word(postgres_url: str, tmp_path: Path) -> None:
    async with (
        chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat,
        beside(chat, postgres_url, ahead=LATER) as other,
        other.app._channels.use(chat.conversation.id) as channel,
    ):
        accepted = await half(chat)
        with channel.holding():
            assert await other.app._channels.hold(channel)
        await chat.app.supervisor.beat()
        await chat.ollama.disconnected()
        assert await log_of(chat, "bot_message") == []
        await other.app.supervisor.recover()
        answer = await chat.answer(accepted)
        assert (answer.status, answer.text) == (MessageStatus.INTERRUPTED, "Half, ")
        assert len(await log_of(chat, "bot_message")) == 1


@pytest.mark.parametrize("committed", [True, False])
async def test_an_end_that_nobody_confirmed_is_told_once_and_as_it_is_stored(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    heard: list[Event] = []
    chat.app._notices.listen(heard.append)
    async with chat.follow() as follower:
        with broken_ends(monkeypatch, committed=committed) as broken:
            accepted = await chat.ask()
            await follower.until("bot_message")
            assert broken
        await chat.said("And on?")
        await follower.until("bot_message", 2)
    ends = await log_of(chat, "bot_message")
    assert told(follower) == [(event.seq, "complete") for event in ends]
    assert len(ends) == 2
    assert orders([frame.seq for frame in follower.frames])
    assert place(follower.frames, accepted.answer_id) == (await chat.answer(accepted)).text

    async def ended() -> list[UUID]:
        return [event.object_id for event in heard if (event.type, event.action) == ("run", "ended")]

    await chat.app.drain(5)
    assert (await ended()).count(accepted.run_id) == 1


async def test_a_process_makes_the_answer_that_another_one_accepted_at_once(postgres_url: str, tmp_path: Path) -> None:
    async with chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat:
        async with beside(chat, postgres_url) as other, asyncio.timeout(10):
            for number in range(4):
                asker, reader = (other, chat) if number % 2 else (chat, other)
                accepted = await asker.ask(f"Question {number}?")
                assert (await reader.answer(accepted)).status is MessageStatus.COMPLETE
        assert orders([event.seq for event in await log_of(chat, "user_message", "bot_message")])


async def test_of_many_who_stop_a_queued_run_in_several_processes_one_ends_it(
    postgres_url: str, tmp_path: Path
) -> None:
    async with chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat:
        heard: list[Event] = []
        async with beside(chat, postgres_url) as one, beside(chat, postgres_url) as two:
            for process in (one, two):
                process.app._notices.listen(heard.append)
            await half(chat)
            conversation = await chat.app.conversations.create(chat.identity, chat.project.id)
            one.conversation = two.conversation = conversation
            chat.app.supervisor._draining = True  # nobody claims it
            accepted = await one.ask("Never mind?")
            stops = [
                process.app.chat.stop(chat.identity, conversation.id, run_id=accepted.run_id)
                for process in (one, two, one, two)
            ]
            await asyncio.gather(*stops)
            assert [event.payload["status"] for event in await log_of(one, "bot_message")] == ["stopped"]
            assert (await two.answer(accepted)).status is MessageStatus.STOPPED
            assert [event.object_id for event in heard if (event.type, event.action) == ("run", "ended")] == [
                accepted.run_id
            ]


@pytest.mark.parametrize("client_id", [None, "key"])
async def test_an_answer_that_is_continued_twice_at_once_is_continued_once(
    postgres_url: str, tmp_path: Path, client_id: str | None
) -> None:
    async with chatting(tmp_path, overrides={"EUDAI_DATABASE_URL": postgres_url}) as chat:
        accepted = await half(chat)
        await chat.app.chat.stop(chat.identity, chat.conversation.id)
        assert (await chat.answer(accepted)).status is MessageStatus.STOPPED
        async with beside(chat, postgres_url) as other:
            outcomes = await asyncio.gather(
                *(
                    process.app.chat.resume_answer(
                        chat.identity, chat.conversation.id, message_id=accepted.answer_id, client_id=client_id
                    )
                    for process in (chat, other, chat, other)
                ),
                return_exceptions=True,
            )
        taken = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
        assert len(taken) == (1 if client_id is None else 4)
        assert len({outcome.run_id for outcome in taken}) == 1
        assert all(isinstance(outcome, Conflict) for outcome in outcomes if outcome not in taken)
        assert (await chat.answer(taken[0])).status is MessageStatus.COMPLETE


async def failing(channel: Channel, error: BaseException, lease: Lease | None) -> int:
    """Number an event in an order that fails, and return the number."""
    number = 0
    try:
        async with ordered(channel) as order:
            if lease is not None:
                order.renew(lease, 1.0)
            number = order.add("title", {}, None)
            raise error
    except type(error):
        return number


@pytest.mark.parametrize("error", [Conflict("refused"), StorageUnavailable("not confirmed"), asyncio.CancelledError()])
async def test_a_lease_that_was_not_committed_gives_no_number(error: BaseException) -> None:
    channel = Channel(new_id(), new_id(), 7)
    assert await failing(channel, error, Lease(channel.conversation_id, 100, 200)) == 101
    assert (channel.seq, channel.ceiling, channel.shown) == (7, 0, 7)
    with pytest.raises(RuntimeError, match="no lease"):
        channel.emit("title", {"title": "Mine"}, None)


async def test_numbers_that_may_be_in_the_log_are_not_used_again() -> None:
    channel = Channel(new_id(), new_id(), 0)
    channel.renew(Lease(channel.conversation_id, 0, 100), 1.0)
    assert await failing(channel, Conflict("refused"), None) == 1
    assert await failing(channel, StorageUnavailable("not confirmed"), None) == 1
    async with ordered(channel) as order:
        assert order.add("title", {}, None) == 2
    assert channel.shown == 2


async def test_a_channel_takes_a_lease_only_when_it_is_committed(
    chat: Chatting, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: SqlUnitOfWork) -> None:
        raise StorageUnavailable("the database does not answer")

    await half(chat)
    async with chat.app._channels.use(chat.conversation.id) as channel:
        before = (channel.ceiling, channel.expires)
        with monkeypatch.context() as patch:
            patch.setattr(SqlUnitOfWork, "commit", refuse)
            with pytest.raises(StorageUnavailable):
                await chat.app.supervisor.beat()
            assert (channel.ceiling, channel.expires) == before
            channel.expires = float("-inf")
            with channel.holding(), pytest.raises(StorageUnavailable):
                await chat.app._channels.hold(channel)
            assert (channel.ceiling, channel.expires) == (before[0], float("-inf"))
        channel.expires = before[1]
    chat.ollama.release("gate")
