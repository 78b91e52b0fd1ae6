"""Trimming the event log beside others: nobody waits in a circle, and nobody waits long."""

from __future__ import annotations

import asyncio

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from eudai_core.model import EventRecord, Run, RunStatus
from eudai_sql import events
from eudai_sql.storage import SqlStorage, open_storage
from support.eventually import eventually
from support.sql_rows import Rows, at

LATER = at(1e6)
_WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


async def ended_run(rows: Rows, count: int, *, after: float = 0) -> Run:
    """Store a run that has ended, in a conversation of its own, with so many events."""
    run = await rows.add_run(host=f"gpu{after}")
    async with rows.storage.unit_of_work() as work:
        numbers = range(1, count + 1)
        await work.events.append([EventRecord(run.conversation_id, n, run.id, "delta", {}) for n in numbers])
        ended = await work.runs.request_stop(run.id, at=at(after))
        await work.commit()
    assert ended is not None
    assert ended.status is RunStatus.STOPPED
    return run


async def trim(storage: SqlStorage, limit: int = 20) -> int:
    async with storage.unit_of_work() as work:
        count = await work.events.trim(ended_before=LATER, limit=limit)
        await work.commit()
    return count


async def numbers(storage: SqlStorage, run: Run) -> tuple[list[int], int]:
    """Return what is left of a run, and the number up to which its log was trimmed."""
    async with storage.unit_of_work(readonly=True) as work:
        left = [event.seq for event in await work.events.of_run(run.id)]
        return left, await work.events.trimmed(run.conversation_id)


async def test_a_conversation_that_is_being_deleted_is_passed_over(postgres_url: str) -> None:
    """Whoever deletes one holds it and then wants its runs: a trimmer that holds those must not want the other."""
    storage = open_storage(postgres_url)
    other = await asyncpg.connect(postgres_url)
    try:
        rows = Rows(storage)
        await rows.begin()
        deleted, kept = await ended_run(rows, 3), await ended_run(rows, 3, after=1)
        async with other.transaction():
            await other.execute("select from conversations where id = $1 for update", deleted.conversation_id)
            assert await trim(storage) == 1
            await other.execute("delete from conversations where id = $1", deleted.conversation_id)
        assert await numbers(storage, kept) == ([], 3)
        assert await trim(storage) == 0
    finally:
        await other.close()
        await storage.aclose()


async def test_whoever_deletes_a_conversation_waits_for_its_trimming(postgres_url: str) -> None:
    storage = open_storage(postgres_url)
    other = await asyncpg.connect(postgres_url)
    try:
        rows = Rows(storage)
        await rows.begin()
        run = await ended_run(rows, 3)

        async def waits() -> bool:
            return bool(await other.fetchval(_WAITING))

        async def delete() -> None:
            async with storage.unit_of_work() as work:
                await work.conversations.delete(run.conversation_id)
                await work.commit()

        async with storage.unit_of_work() as work:
            assert await work.events.trim(ended_before=LATER, limit=20) == 1
            deleting = asyncio.create_task(delete())
            await eventually(waits)
            await work.commit()
        await deleting
        assert await other.fetchval("select count(*) from runs") == 0
    finally:
        await other.close()
        await storage.aclose()


async def test_very_many_events_are_forgotten_in_parts(
    storage: SqlStorage, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite nobody else writes meanwhile, so no transaction is long, however long the logs are."""
    monkeypatch.setattr(events, "_AT_ONCE", 10)
    few, many, last = [await ended_run(rows, count, after=count) for count in (4, 25, 30)]
    seen = []
    while await trim(storage, limit=2):
        left = [(await numbers(storage, run)) for run in (few, many, last)]
        assert all(not found or found[0] == reached + 1 for found, reached in left)
        seen.append(sum(len(found) for found, _ in left))
    assert seen[-1] == 0
    assert all(before - after <= 10 for before, after in zip([59, *seen], seen, strict=False))
    assert await numbers(storage, last) == ([], 30)


async def test_a_run_without_events_is_done_with_once(storage: SqlStorage, rows: Rows) -> None:
    await ended_run(rows, 0)
    assert [await trim(storage), await trim(storage)] == [1, 0]
