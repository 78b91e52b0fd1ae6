"""Conversations, messages, and the lease that numbers events."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from eudai_core.errors import InvalidInput, NotFound, StaleVersion
from eudai_core.ids import new_id
from eudai_core.model import Citation, EventRecord, Lease, Message, MessageStatus, Sender, Usage
from eudai_sql.storage import SqlStorage
from support.sql_rows import NOW, Rows, at


async def test_conversation_comes_back_with_its_owner_and_last_number(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work() as work:
        assert await work.conversations.get(rows.conversation.id) == rows.conversation
        await work.conversations.lease(rows.conversation.id, owner="a", now=NOW, until=at(9), headroom=1000)
        await work.events.append([EventRecord(rows.conversation.id, 7, None, "title", {})])
        # Not the ceiling: a client that resumes after it would miss what is numbered below.
        assert (await work.conversations.get(rows.conversation.id)).seq == 7
        with pytest.raises(NotFound):
            await work.conversations.get(new_id())


async def test_conversations_are_listed_by_last_change(storage: SqlStorage, rows: Rows) -> None:
    other = await rows.add_project()
    old = await rows.add_conversation(other, updated=-5)
    new = await rows.add_conversation(updated=5)
    stranger = await rows.add_user("bob")
    await rows.add_conversation(await rows.add_project(stranger))
    async with storage.unit_of_work() as work:
        listed = await work.conversations.list(rows.user.id, project_id=None, cursor=None, limit=2)
        assert list(listed.items) == [new, rows.conversation]
        rest = await work.conversations.list(rows.user.id, project_id=None, cursor=listed.next, limit=2)
        assert (list(rest.items), rest.next) == ([old], None)
        one = await work.conversations.list(rows.user.id, project_id=other.id, cursor=None, limit=2)
        assert list(one.items) == [old]
        await work.conversations.touch(old.id, active_message_id=new_id(), at=at(9))
        listed = await work.conversations.list(rows.user.id, project_id=None, cursor=None, limit=1)
        assert listed.items[0].id == old.id
        assert listed.next is not None


async def test_update_honours_the_expected_version(storage: SqlStorage, rows: Rows) -> None:
    changed = replace(rows.conversation, title="New", model="m", active_message_id=new_id(), updated_at=at(3))
    async with storage.unit_of_work() as work:
        assert await work.conversations.update(changed, expected_version=1) == replace(changed, version=2)
        with pytest.raises(StaleVersion):
            await work.conversations.update(changed, expected_version=1)
        for attempt in (
            work.conversations.update(replace(changed, id=new_id()), expected_version=None),
            work.conversations.touch(new_id(), active_message_id=new_id(), at=NOW),
            work.conversations.delete(new_id()),
        ):
            with pytest.raises(NotFound):
                await attempt


async def lease(storage: SqlStorage, rows: Rows, owner: str, now: float, until: float, headroom: int) -> Lease | None:
    async with storage.unit_of_work() as work:
        taken = await work.conversations.lease(
            rows.conversation.id, owner=owner, now=at(now), until=at(until), headroom=headroom
        )
        await work.commit()
        return taken


async def test_lease_gives_every_number_to_one_holder_only(storage: SqlStorage, rows: Rows) -> None:
    key = rows.conversation.id
    assert await lease(storage, rows, "a", 0, 10, 100) == Lease(key, 0, 100)
    assert await lease(storage, rows, "b", 9, 20, 100) is None
    assert await lease(storage, rows, "a", 9, 20, 50) == Lease(key, 100, 150)
    assert await lease(storage, rows, "b", 20, 30, 10) == Lease(key, 150, 160)
    assert await lease(storage, rows, "a", 21, 30, 10) is None


async def test_lease_of_an_unknown_conversation_is_not_found(storage: SqlStorage) -> None:
    async with storage.unit_of_work() as work:
        with pytest.raises(NotFound):
            await work.conversations.lease(new_id(), owner="a", now=NOW, until=at(1), headroom=1)


async def test_of_many_at_once_one_takes_the_lease(storage: SqlStorage, rows: Rows) -> None:
    taken = await asyncio.gather(*(lease(storage, rows, f"p{n}", 0, 10, 10) for n in range(8)))
    assert len([one for one in taken if one is not None]) == 1


async def test_message_comes_back_whole(storage: SqlStorage, rows: Rows) -> None:
    question = await rows.add_message(text="why?")
    message = Message(
        id=new_id(),
        conversation_id=rows.conversation.id,
        parent_id=question.id,
        sender=Sender.LLM,
        text="because 𝄞",
        timestamp=at(1),
        status=MessageStatus.FAILED,
        thinking="hm",
        model="m",
        usage=Usage(prompt_tokens=3),
        citations=[Citation("f1", 0, 1, 2, "q", "verified")],
        error={"code": "llm_failed"},
        client_id="c",
    )
    async with storage.unit_of_work() as work:
        await work.messages.add(message)
        assert await work.messages.get(message.id) == replace(message, siblings=[message.id])
        with pytest.raises(NotFound):
            await work.messages.get(new_id())


async def test_path_gives_the_end_of_a_branch_with_siblings(storage: SqlStorage, rows: Rows) -> None:
    root = await rows.add_message()
    other_root = await rows.add_message()
    first = await rows.add_message(root.id, sender=Sender.LLM)
    second = await rows.add_message(root.id, sender=Sender.LLM)
    leaf = await rows.add_message(second.id)
    await rows.add_message(conversation=await rows.add_conversation())
    async with storage.unit_of_work(readonly=True) as work:
        path = await work.messages.path(leaf.id, limit=10)
        assert [message.id for message in path] == [root.id, second.id, leaf.id]
        assert [list(message.siblings) for message in path] == [
            [root.id, other_root.id],
            [first.id, second.id],
            [leaf.id],
        ]
        assert [message.id for message in await work.messages.path(leaf.id, limit=2)] == [second.id, leaf.id]
        with pytest.raises(NotFound):
            await work.messages.path(new_id(), limit=2)


async def test_partial_texts_are_stored_only_while_pending(storage: SqlStorage, rows: Rows) -> None:
    pending = await rows.add_message(sender=Sender.LLM, status=MessageStatus.PENDING)
    ended = await rows.add_message(sender=Sender.LLM, text="whole")
    async with storage.unit_of_work() as work:
        await work.messages.save_partial([])
        await work.messages.save_partial([(pending.id, "so \"far' 𝄞\n", "hm\\u0000"), (ended.id, "no", "no")])
        stored = await work.messages.get(pending.id)
        assert (stored.text, stored.thinking) == ("so \"far' 𝄞\n", "hm\\u0000")
        assert (await work.messages.get(ended.id)).text == "whole"
        with pytest.raises(InvalidInput):
            await work.messages.save_partial([(pending.id, "nul\x00", "")])


async def test_the_first_end_of_an_answer_stands_until_it_is_reopened(storage: SqlStorage, rows: Rows) -> None:
    answer = await rows.add_message(sender=Sender.LLM, status=MessageStatus.PENDING)
    async with storage.unit_of_work() as work:
        end = work.messages.finish
        await end(answer.id, text="cut", thinking="", status=MessageStatus.INTERRUPTED, error={"code": "x"})
        await end(answer.id, text="whole", thinking="", status=MessageStatus.COMPLETE)
        stored = await work.messages.get(answer.id)
        assert (stored.text, stored.status, stored.error) == ("cut", MessageStatus.INTERRUPTED, {"code": "x"})
        await work.messages.reopen(answer.id)
        stored = await work.messages.get(answer.id)
        assert (stored.text, stored.status, stored.error) == ("cut", MessageStatus.PENDING, None)
        citation = Citation("f1", None, 0, 1, "q", "paraphrase")
        await end(
            answer.id, text="cut more", thinking="t", status=MessageStatus.COMPLETE, usage=Usage(), citations=[citation]
        )
        stored = await work.messages.get(answer.id)
        assert (stored.text, stored.usage, stored.citations) == ("cut more", Usage(), [citation])
        for attempt in (
            end(new_id(), text="", thinking="", status=MessageStatus.COMPLETE),
            work.messages.reopen(new_id()),
        ):
            with pytest.raises(NotFound):
                await attempt


async def test_events_come_back_in_order(storage: SqlStorage, rows: Rows) -> None:
    other = await rows.add_conversation()
    run_id = new_id()
    payload = {"content": "a\"'\\u0000 𝄞", "offset": 3, "nested": {"list": [1, None, True]}}
    events = [
        EventRecord(rows.conversation.id, 5, run_id, "delta", payload),
        EventRecord(other.id, 1, None, "title", {}),
        EventRecord(rows.conversation.id, 2**40, run_id, "bot_message", {"status": "complete"}),
    ]
    async with storage.unit_of_work() as work:
        await work.events.append([])
        await work.events.append(events[::-1])
        await work.events.append([replace(events[0], type="other"), events[1]])
        assert await work.events.after(rows.conversation.id, 0, limit=9) == [events[0], events[2]]
        assert await work.events.after(rows.conversation.id, 5, limit=9) == [events[2]]
        assert await work.events.after(rows.conversation.id, 0, limit=1) == [events[0]]
        assert await work.events.of_run(run_id) == [events[0], events[2]]
        with pytest.raises(InvalidInput):
            await work.events.append([replace(events[0], seq=6, payload={"content": "\x00"})])
