"""Messages in the search index: all of them, behind the turns, and none that is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from eudai_core.contracts import SearchIndex
from eudai_core.errors import Conflict, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import (
    Event,
    Job,
    Message,
    MessageStatus,
    SearchCollection,
    SearchDocument,
    SearchHit,
    SearchScope,
    Sender,
)
from eudai_core.search import REMOVAL_JOB, MessageIndexer, SearchRemoval
from eudai_core.testing import FrozenClock
from eudai_core.text import tokenise
from support.assembled import NOW, World

ENDED = Event("run", "ended", new_id(), new_id(), NOW)


@pytest.fixture
def indexer(world: World, clock: FrozenClock) -> MessageIndexer:
    return MessageIndexer(world.host, world.storage, clock)


async def found(world: World, text: str) -> list[SearchHit]:
    scope = SearchScope(world.project.id, SearchCollection.MESSAGES)
    return list(await world.search.search(dict.fromkeys(tokenise(text), 1.0), scopes=[scope], limit=100))


async def say(world: World, text: str, status: MessageStatus = MessageStatus.COMPLETE, thinking: str = "") -> Message:
    message = Message(new_id(), world.conversation.id, None, Sender.USER, text, NOW, status, thinking=thinking)
    async with world.storage.unit_of_work() as work:
        await work.messages.add(message)
        await work.commit()
    return message


async def delete_conversation(world: World, clock: FrozenClock, *, do_jobs: bool = True) -> None:
    removal = SearchRemoval(world.host, clock, lambda: None)
    async with world.storage.unit_of_work() as work:
        await work.conversations.delete(world.conversation.id)
        await removal.schedule(work, world.conversation.id)
        await work.commit()
    async with world.storage.unit_of_work() as work:
        jobs = await work.jobs.claim([REMOVAL_JOB], owner="me", now=clock.now(), until=clock.now(), limit=9)
        await work.commit()
    assert [job.payload for job in jobs] == [{"key": str(world.conversation.id)}]
    if do_jobs:
        await removal.run(jobs[0])


async def test_messages_are_found_once_they_ended(world: World, indexer: MessageIndexer) -> None:
    asked = await say(world, "Where do herons fish?", thinking="cormorant")
    answer = await say(world, "", MessageStatus.PENDING)
    await say(world, "")
    assert await indexer.catch_up() == 2
    (hit,) = await found(world, "herons")
    assert (hit.document_id, hit.group) == (asked.id, world.conversation.id)
    assert await found(world, "cormorant") == []
    await world.finish(answer.id, "Herons fish in rivers.")
    assert await indexer.catch_up() == 1
    assert await indexer.catch_up() == 0
    assert {hit.document_id for hit in await found(world, "herons")} == {asked.id, answer.id}


async def test_an_answer_that_is_continued_is_indexed_anew(world: World, indexer: MessageIndexer) -> None:
    answer = await say(world, "", MessageStatus.PENDING)
    await world.finish(answer.id, "The first half", MessageStatus.STOPPED)
    await indexer.catch_up()
    async with world.storage.unit_of_work() as work:
        await work.messages.reopen(answer.id)
        await work.commit()
    await world.finish(answer.id, "The first half and the second")
    assert await indexer.catch_up() == 1
    assert len(await found(world, "second")) == 1
    assert len(await found(world, "half")) == 1


async def test_a_long_message_is_found_by_each_of_its_parts(world: World, indexer: MessageIndexer) -> None:
    text = "\n\n".join(f"Paragraph{n} speaks of subject{n}. " + "filler " * 60 for n in range(40))
    message = await say(world, text)
    await indexer.catch_up()
    for n in (0, 20, 39):
        hit = (await found(world, f"subject{n}"))[0]
        assert hit.document_id == message.id
        assert f"subject{n}" in text[hit.passage.start : hit.passage.end]
        assert hit.passage.end - hit.passage.start < 1000


async def test_more_than_a_batch_is_caught_up_with(world: World, indexer: MessageIndexer) -> None:
    async with world.storage.unit_of_work() as work:
        for number in range(450):
            text = f"many word{number}"
            await work.messages.add(Message(new_id(), world.conversation.id, None, Sender.USER, text, NOW))
        await work.commit()
    assert await indexer.catch_up() == 450
    assert len(await found(world, "word449")) == 1


async def test_cut_off_before_it_was_noted_it_is_indexed_again(
    world: World, indexer: MessageIndexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await say(world, "Where do herons fish?")
    put = world.search.put

    async def killed(documents: Sequence[SearchDocument]) -> None:
        await put(documents)
        raise StorageUnavailable("The process was killed here.")

    with monkeypatch.context() as patch:
        patch.setattr(world.search, "put", killed)
        with pytest.raises(StorageUnavailable):
            await indexer.catch_up()
    assert [hit.document_id for hit in await found(world, "herons")] == [message.id]
    assert await indexer.catch_up() == 1
    assert [hit.document_id for hit in await found(world, "herons")] == [message.id]


async def test_a_deleted_conversation_is_found_no_more(
    world: World, indexer: MessageIndexer, clock: FrozenClock
) -> None:
    await say(world, "Where do herons fish?")
    await indexer.catch_up()
    await delete_conversation(world, clock)
    assert await found(world, "herons") == []


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_conversation_deleted_while_it_is_indexed_leaves_no_ghost(
    world: World, indexer: MessageIndexer, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    await say(world, "Where do herons fish?")
    put = world.search.put

    async def meanwhile(documents: Sequence[SearchDocument]) -> None:
        if when == "before":
            await delete_conversation(world, clock)
        await put(documents)
        if when == "after":
            await delete_conversation(world, clock)

    monkeypatch.setattr(world.search, "put", meanwhile)
    assert await indexer.catch_up() == 1
    monkeypatch.undo()
    assert await found(world, "herons") == []
    assert await indexer.catch_up() == 0


async def test_a_message_that_the_index_refuses_does_not_hold_up_others(
    world: World, indexer: MessageIndexer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused = await say(world, "poison")
    await say(world, "Where do herons fish?")
    put = world.search.put

    async def choosy(documents: Sequence[SearchDocument]) -> None:
        if any(document.id == refused.id for document in documents):
            raise Conflict("Not this one.")
        await put(documents)

    monkeypatch.setattr(world.search, "put", choosy)
    assert await indexer.catch_up() == 2
    assert len(await found(world, "herons")) == 1
    assert f"message {refused.id} is left out" in caplog.text
    assert await indexer.catch_up() == 0


class Watched:
    """An index that tells when it was asked, and fails as long as it is told to."""

    def __init__(self) -> None:
        self.puts: list[list[UUID]] = []
        self.asked = asyncio.Event()
        self.broken = False

    async def put(self, documents: Sequence[SearchDocument]) -> None:
        self.asked.set()
        if self.broken:
            raise StorageUnavailable("The database does not answer.")
        self.puts.append([document.id for document in documents])

    async def remove(self, key: UUID) -> None:
        raise AssertionError("nothing was deleted")

    async def search(self, *_: Any, **__: Any) -> Sequence[SearchHit]:
        raise AssertionError("nobody asked")


@pytest.fixture
def watched(world: World, monkeypatch: pytest.MonkeyPatch) -> Watched:
    index = Watched()
    kept: SearchIndex = index
    for name in ("put", "remove", "search"):
        monkeypatch.setattr(world.search, name, getattr(kept, name))
    return index


async def after(watched: Watched, act: Callable[[], object]) -> None:
    watched.asked.clear()
    act()
    await asyncio.wait_for(watched.asked.wait(), 30)


class DebounceClock(FrozenClock):
    """A clock that tells when somebody sleeps for a second or less."""

    def __init__(self) -> None:
        super().__init__()
        self.debouncing = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 1:
            self.debouncing.set()
        await super().sleep(seconds)


async def test_a_run_that_ends_wakes_it_and_those_that_end_together_are_indexed_together(
    world: World, watched: Watched
) -> None:
    clock = DebounceClock()
    indexer = MessageIndexer(world.host, world.storage, clock)
    async with indexer.running():
        await clock.sleeping()
        first = await say(world, "one")
        indexer.hear(Event("file", "updated", new_id(), new_id(), NOW))
        assert not clock.debouncing.is_set()
        indexer.hear(ENDED)
        await asyncio.wait_for(clock.debouncing.wait(), 30)
        second = await say(world, "two")
        indexer.hear(ENDED)
        assert watched.puts == []
        await after(watched, lambda: clock.advance(0.5))
        assert watched.puts == [[first.id, second.id]]


async def test_what_nobody_told_of_is_noticed_after_half_a_minute(
    world: World, indexer: MessageIndexer, clock: FrozenClock, watched: Watched
) -> None:
    async with indexer.running():
        await clock.sleeping()
        message = await say(world, "one")
        await after(watched, lambda: clock.advance(30))
        assert watched.puts == [[message.id]]


async def test_an_outage_is_logged_once_and_outlived(
    world: World, indexer: MessageIndexer, clock: FrozenClock, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.broken = True
    await say(world, "one")
    with caplog.at_level(logging.INFO, "eudai_core.search"):
        async with indexer.running():
            await watched.asked.wait()
            for _ in range(3):
                await clock.sleeping()
                await after(watched, lambda: clock.advance(30))
            watched.broken = False
            await clock.sleeping()
            await after(watched, lambda: clock.advance(30))
            assert len(watched.puts) == 1
    assert len([record for record in caplog.records if "indexing messages failed" in record.message]) == 1


async def test_without_an_index_there_is_nothing_to_do(
    world: World, indexer: MessageIndexer, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(world, "one")
    monkeypatch.setattr(world.host, "find", lambda role: None)
    assert await indexer.catch_up() == 0
    removal = SearchRemoval(world.host, clock, lambda: None)
    job = Job(new_id(), REMOVAL_JOB, "k", {"key": str(new_id())}, NOW)
    await removal.run(job)
    await removal.give_up(job, "no reason")
