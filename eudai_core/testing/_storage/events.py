"""The event log of conversations."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from eudai_core.contracts import Storage
from eudai_core.errors import InvalidInput, NotFound
from eudai_core.ids import new_id
from eudai_core.model import EventRecord, Run, RunStatus
from eudai_core.testing._storage.keeping import must_equal
from eudai_core.testing._storage.queue import claim
from eudai_core.testing._storage.rows import NOW, Rows, at

__all__ = [
    "check_appending",
    "check_appending_again",
    "check_events_after",
    "check_events_of_a_run",
    "check_trimmers_at_once",
    "check_trimming",
    "check_trimming_keeps_the_last_number",
    "check_trimming_waits_for_open_runs",
]


async def check_appending(rows: Rows) -> None:
    """Events of several conversations are stored at once and come back whole."""
    other = await rows.add_conversation()
    payload = {"content": "a\"'\\u0000 𝄞", "offset": 3, "nested": {"list": [1, None, True, 2.5]}, "": ""}
    events = [
        EventRecord(rows.conversation.id, 2**40, new_id(), "bot_message", {"status": "complete"}),
        EventRecord(other.id, 1, None, "title", {}),
        EventRecord(rows.conversation.id, 5, new_id(), "delta", payload),
    ]
    async with rows.writing() as work:
        await work.events.append([])
        await work.events.append(events)
    async with rows.reading() as work:
        found = await work.events.after(rows.conversation.id, 0, limit=9)
        must_equal(found, [events[2], events[0]], "events come back whole, in the order of their numbers")
        must_equal(await work.events.after(other.id, 0, limit=9), [events[1]], "each conversation has its own log")
    nowhere = EventRecord(new_id(), 1, None, "title", {})
    await rows.refused(NotFound, lambda work: work.events.append([nowhere]), "an event of no conversation is NotFound")
    await rows.refused(
        InvalidInput,
        lambda work: work.events.append([replace(events[2], seq=6, payload={"content": "\x00"})]),
        "a payload with NUL is InvalidInput",
    )


async def check_appending_again(rows: Rows) -> None:
    """Numbers that are stored already are left alone, and the others of the batch are stored."""
    first, second = _events(rows, None, 1, 2)
    async with rows.writing() as work:
        await work.events.append([first])
    async with rows.writing() as work:
        await work.events.append([replace(first, type="other"), second])
    async with rows.reading() as work:
        found = await work.events.after(rows.conversation.id, 0, limit=9)
        must_equal(found, [first, second], "numbers stored already are left alone, the others are stored")


async def check_events_after(rows: Rows) -> None:
    """Events after a number are given in order, up to ``limit``."""
    events = _events(rows, None, 1, 5, 9)
    async with rows.writing() as work:
        await work.events.append(events[::-1])
    async with rows.reading() as work:
        for after, limit, expected in ((0, 9, events), (1, 9, events[1:]), (4, 1, events[1:2]), (9, 9, [])):
            found = await work.events.after(rows.conversation.id, after, limit=limit)
            must_equal(found, expected, "after() gives up to `limit` events above a number, in order")


async def check_events_of_a_run(rows: Rows) -> None:
    """Every event of a run is given, in order."""
    run_id, other = new_id(), new_id()
    mine, theirs = _events(rows, run_id, 5, 1, 3), _events(rows, other, 2, 4)
    async with rows.writing() as work:
        await work.events.append([*mine, *theirs])
    async with rows.reading() as work:
        expected = sorted(mine, key=lambda event: event.seq)
        must_equal(await work.events.of_run(run_id), expected, "of_run() gives every event of a run, in order")
        must_equal(await work.events.of_run(new_id()), [], "a run that is not there has no events")


async def check_trimming(rows: Rows) -> None:
    """Trimming forgets the events of runs that ended long ago, and what is numbered before them."""
    old, recent, running = await _three_runs(rows)
    async with rows.writing() as work:
        await work.events.append(
            [
                *_events(rows, None, 1),
                *_events(rows, old.id, 2, 3),
                *_events(rows, recent.id, 4),
                *_events(rows, None, 5),
            ]
        )
        await work.events.append(_events(rows, running.id, 6))
    must_equal(await _trim(rows, at(10)), 0, "a run that did not end before the time is left alone")
    must_equal(await _trim(rows, at(11)), 1, "trim() tells of how many runs")
    async with rows.reading() as work:
        left = [event.seq for event in await work.events.after(rows.conversation.id, 0, limit=9)]
        must_equal(left, [4, 5, 6], "the events of a run and all numbered before them are forgotten, no others")
        must_equal(await work.events.of_run(old.id), [], "of a trimmed run no event is left")
        must_equal(await work.events.trimmed(rows.conversation.id), 3, "trimmed() is the number up to which it was")
    must_equal(await _trim(rows, at(11)), 0, "a run is trimmed once")
    must_equal(await _trim(rows, at(999)), 1, "a run that has not ended is left alone")
    async with rows.reading() as work:
        left = [event.seq for event in await work.events.after(rows.conversation.id, 0, limit=9)]
        must_equal(left, [5, 6], "what is numbered after the last event of a run stays")
    await rows.refused(NotFound, lambda work: work.events.trimmed(new_id()), "a conversation must be there")


async def check_trimming_keeps_the_last_number(rows: Rows) -> None:
    """A conversation whose log is trimmed to nothing still knows its last number; others are whole."""
    other = await rows.add_conversation()
    old, *_ = await _three_runs(rows)
    async with rows.writing() as work:
        await work.events.append([*_events(rows, old.id, 6, 7), EventRecord(other.id, 3, None, "title", {})])
    await _trim(rows, at(11))
    async with rows.reading() as work:
        must_equal(await work.events.after(rows.conversation.id, 0, limit=9), [], "the log is trimmed")
        must_equal((await work.conversations.get(rows.conversation.id)).seq, 7, "seq stays when the log is trimmed")
        must_equal(await work.events.trimmed(other.id), 0, "trimmed() of a whole log is 0")
        must_equal(len(await work.events.after(other.id, 0, limit=9)), 1, "other conversations are left alone")


async def check_trimming_waits_for_open_runs(rows: Rows) -> None:
    """What a run has said that has not ended stays in the log, however old the runs around it are."""
    old, _, running = await _three_runs(rows)
    async with rows.writing() as work:
        await work.events.append([*_events(rows, old.id, 1, 3), *_events(rows, running.id, 2)])
    must_equal(await _trim(rows, at(99)), 1, "a run waits as long as an open one has an event before its last")
    async with rows.writing() as work:
        must_equal(len(await work.events.of_run(running.id)), 1, "the events of a run that has not ended stay")
        await work.runs.finish(running.id, RunStatus.COMPLETE, owner="p1", at=at(40))
    must_equal(await _trim(rows, at(30)), 1, "when the other run has ended, the waiting one is trimmed")
    async with rows.reading() as work:
        must_equal(await work.events.after(rows.conversation.id, 0, limit=9), [], "with all before it")


async def check_trimmers_at_once(rows: Rows) -> None:
    """Trimmers at the same time share the work; each takes up to ``limit`` runs."""
    runs = [rows.run(c) for c in await rows.add_conversations(5)]
    await rows.add_runs(*runs)
    await claim(rows, capacity=9)
    async with rows.writing() as work:
        for run in runs:
            await work.events.append([EventRecord(run.conversation_id, 1, run.id, "delta", {})])
            await work.runs.finish(run.id, RunStatus.COMPLETE, owner="p1", at=NOW)
    must_equal(await _trim(rows, at(1), limit=2), 2, "trim() forgets up to `limit` runs")
    counts = await asyncio.gather(*(_trim(rows, at(1), storage=rows.handle(n)) for n in range(4)))
    must_equal(sum(counts), 3, "trimmers at once count every run once")
    async with rows.reading() as work:
        for run in runs:
            must_equal(await work.events.of_run(run.id), [], "every run that is due is trimmed")


def _events(rows: Rows, run_id: UUID | None, *numbers: int) -> list[EventRecord]:
    key = rows.conversation.id
    return [EventRecord(key, seq, run_id, "delta", {"offset": seq}) for seq in numbers]


async def _three_runs(rows: Rows) -> tuple[Run, Run, Run]:
    """Store three runs of the conversation: two ended, 10 and 20 seconds after NOW, and one running."""
    runs = [rows.run(queued=n) for n in range(3)]
    await rows.add_runs(*runs)
    for number, run in enumerate(runs):
        await claim(rows, capacity=9)
        if number < 2:
            async with rows.writing() as work:
                await work.runs.finish(run.id, RunStatus.COMPLETE, owner="p1", at=at(10 * (number + 1)))
    return runs[0], runs[1], runs[2]


async def _trim(rows: Rows, ended_before: datetime, *, limit: int = 9, storage: Storage | None = None) -> int:
    async with rows.writing(storage) as work:
        return await work.events.trim(ended_before=ended_before, limit=limit)
