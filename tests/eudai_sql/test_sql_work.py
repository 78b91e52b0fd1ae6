"""Jobs, context records, plugin states."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from eudai_core.errors import NotFound
from eudai_core.ids import new_id
from eudai_core.model import (
    ContextRecord,
    Job,
    JobState,
    Origin,
    PluginState,
    PluginStatus,
    SegmentKind,
    SegmentRecord,
)
from eudai_sql.storage import SqlStorage
from support.sql_rows import Rows, at


def job(key: str, *, kind: str = "index", due: float = 0) -> Job:
    return Job(new_id(), kind, key, {"id": key}, at(due))


async def claim(storage: SqlStorage, *, now: float = 0, owner: str = "p1", limit: int = 9, **options: Any) -> list[Job]:
    kinds = options.get("kinds", ["index"])
    async with storage.unit_of_work() as work:
        taken = await work.jobs.claim(kinds, owner=owner, now=at(now), until=at(now + 30), limit=limit)
        await work.commit()
        return list(taken)


async def add(storage: SqlStorage, *jobs: Job) -> list[bool]:
    async with storage.unit_of_work() as work:
        added = [await work.jobs.add(one) for one in jobs]
        await work.commit()
        return added


async def test_one_key_has_one_open_job(storage: SqlStorage) -> None:
    first = job("a")
    assert await add(storage, first, job("a"), job("a", kind="other"), job("b")) == [True, False, True, True]
    await claim(storage)
    assert await add(storage, job("a")) == [False]
    async with storage.unit_of_work() as work:
        await work.jobs.fail(first.id, error="broken")
        await work.commit()
    assert await add(storage, job("a")) == [True]


async def test_of_many_at_once_one_adds(storage: SqlStorage) -> None:
    added = await asyncio.gather(*(add(storage, job("a")) for _ in range(8)))
    assert sorted(one for (one,) in added) == [False] * 7 + [True]


async def test_due_jobs_are_claimed_oldest_first_and_counted(storage: SqlStorage) -> None:
    late, early, future = job("a", due=-1), job("b", due=-2), job("c", due=5)
    await add(storage, late, early, future, job("d", kind="other"))
    async with storage.unit_of_work(readonly=True) as work:
        assert await work.jobs.next_due(["index"]) == early.run_after
        assert await work.jobs.next_due(["none"]) is None
    running: dict[str, Any] = {"state": JobState.RUNNING, "attempts": 1, "owner": "p1", "lease_until": at(30)}
    assert await claim(storage) == [replace(one, **running) for one in (early, late)]
    assert await claim(storage) == []
    assert [one.id for one in await claim(storage, now=5, limit=1)] == [future.id]


async def test_job_whose_lease_ran_out_is_claimed_again(storage: SqlStorage) -> None:
    one = job("a")
    await add(storage, one)
    await claim(storage, owner="p1")
    assert await claim(storage, now=29, owner="p2") == []
    (again,) = await claim(storage, now=30, owner="p2")
    assert (again.id, again.owner, again.attempts) == (one.id, "p2", 2)


async def test_heartbeat_keeps_a_job(storage: SqlStorage) -> None:
    one = job("a")
    await add(storage, one)
    await claim(storage)
    async with storage.unit_of_work() as work:
        assert await work.jobs.heartbeat(owner="p1", until=at(99)) == [one.id]
        assert await work.jobs.heartbeat(owner="p2", until=at(99)) == []
        await work.commit()
    assert await claim(storage, now=98) == []


async def test_retry_release_and_end(storage: SqlStorage) -> None:
    one = job("a")
    await add(storage, one)
    await claim(storage)
    async with storage.unit_of_work() as work:
        await work.jobs.retry(one.id, error="not yet", run_after=at(10))
        await work.commit()
    assert await claim(storage, now=9) == []
    (again,) = await claim(storage, now=10)
    assert (again.error, again.attempts) == ("not yet", 2)
    async with storage.unit_of_work() as work:
        await work.jobs.release(one.id)
        await work.commit()
    (again,) = await claim(storage, now=10)
    assert again.attempts == 2
    async with storage.unit_of_work() as work:
        await work.jobs.finish(one.id)
        await work.jobs.finish(one.id)
        await work.jobs.release(one.id)
        for attempt in (work.jobs.retry(one.id, error="", run_after=at(0)), work.jobs.fail(one.id, error="")):
            with pytest.raises(NotFound):
                await attempt
        await work.commit()
    assert await claim(storage, now=999) == []
    assert await add(storage, job("a")) == [True]


async def test_claimers_at_once_share_the_jobs(storage: SqlStorage) -> None:
    await add(storage, *(job(str(n)) for n in range(9)))
    claims = await asyncio.gather(*(claim(storage, owner=f"p{n}", limit=2) for n in range(5)))
    taken = [one.id for found in claims for one in found]
    assert len(taken) == len(set(taken))
    assert len(taken) + len(await claim(storage)) == 9


def segment(name: str, sha256: str) -> SegmentRecord:
    origin = Origin("instruction", name, name, 2, 0, 5)
    return SegmentRecord(SegmentKind.INSTRUCTION, "eudai-context", origin, "", 4, True, "always", sha256, None)


async def test_newest_context_record_of_an_answer_is_given(storage: SqlStorage, rows: Rows) -> None:
    answer, other = new_id(), new_id()

    def record(message_id: Any, step: int, run_id: Any) -> ContextRecord:
        return ContextRecord(
            run_id=run_id,
            step=step,
            message_id=message_id,
            conversation_id=rows.conversation.id,
            model="m",
            system=[segment("rules", "a" * 64)],
            user=[segment("question", "b" * 64)],
            history_from=new_id(),
            left_out=[replace(segment("old", "c" * 64), included=False, score=0.25)],
            report={"budget": {"window": 4096}},
        )

    first, second, third = new_id(), new_id(), new_id()
    old, new, newest = record(answer, 0, first), record(answer, 0, second), record(answer, 1, second)
    elsewhere = record(other, 0, third)
    async with storage.unit_of_work() as work:
        for one in (newest, old, new, elsewhere):
            await work.contexts.put(one, {"a" * 64: "be brief", "b" * 64: "why?"})
        assert await work.contexts.of_message(answer) == newest
        assert await work.contexts.of_message(new_id()) is None
        found = await work.contexts.of_messages([answer, other, new_id()])
        assert found == {answer: newest, other: elsewhere}
        assert await work.contexts.of_messages([]) == {}
        assert await work.contexts.texts(["a" * 64, "b" * 64, "d" * 64]) == {"a" * 64: "be brief", "b" * 64: "why?"}


async def test_states_of_the_process_that_reported_last_are_given(storage: SqlStorage) -> None:
    good = PluginState("a", "eudai", "0.1", PluginStatus.LOADED, "", 1.5, ["eudai_authorize"], {})
    bad = PluginState("b", "other", "2", PluginStatus.FAILED, "it raised", 0.5, [], {"collect": 3})
    async with storage.unit_of_work() as work:
        assert await work.plugin_states.latest() == []
        await work.plugin_states.save("p1", [good, bad], at=at(1))
        await work.plugin_states.save("p2", [good], at=at(2))
        assert await work.plugin_states.latest() == [good]
        await work.plugin_states.save("p1", [bad, replace(good, status=PluginStatus.DEGRADED)], at=at(3))
        assert await work.plugin_states.latest() == [replace(good, status=PluginStatus.DEGRADED), bad]
        await work.plugin_states.save("p3", [], at=at(4 + 24 * 3600))
        assert await work.plugin_states.latest() == []
