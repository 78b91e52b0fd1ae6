"""Commands, and the queue of runs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest

from eudai_core.errors import Conflict, NotFound
from eudai_core.ids import new_id
from eudai_core.model import Run, RunStatus
from eudai_sql.storage import SqlStorage
from support.sql_rows import NOW, Rows, at

GPU1 = ("ollama", "gpu1")
GPU2 = ("ollama", "gpu2")


async def claim(
    storage: SqlStorage,
    capacity: dict[tuple[str, str], int],
    *,
    owner: str = "p1",
    now: datetime = NOW,
    until: datetime | None = None,
    limit: int = 10,
) -> list[Run]:
    async with storage.unit_of_work() as work:
        taken = await work.runs.claim(owner=owner, now=now, until=until or at(30), capacity=capacity, limit=limit)
        await work.commit()
        return list(taken)


async def finish(storage: SqlStorage, run: Run, status: RunStatus = RunStatus.COMPLETE) -> None:
    async with storage.unit_of_work() as work:
        await work.runs.finish(run.id, status, at=NOW)
        await work.commit()


async def test_run_and_command_come_back(storage: SqlStorage, rows: Rows) -> None:
    run = rows.run()
    command = rows.command(run, "c1")
    async with storage.unit_of_work() as work:
        await work.runs.add(run, command)
        assert await work.runs.get(run.id) == run
        assert await work.runs.of_answer(run.answer_id) == run
        assert await work.runs.command(rows.conversation.id, "c1") == command
        assert await work.runs.command(rows.conversation.id, "c2") is None
        assert await work.runs.active(rows.conversation.id) == [run]
        await work.runs.announce(run.id)
        assert (await work.runs.get(run.id)).announced


async def test_newest_run_of_an_answer_is_given(storage: SqlStorage, rows: Rows) -> None:
    first = rows.run()
    second = replace(rows.run(queued=1), answer_id=first.answer_id)
    async with storage.unit_of_work() as work:
        for run in (second, first):
            await work.runs.add(run, None)
        assert (await work.runs.of_answer(first.answer_id)).id == second.id


async def test_client_id_is_taken_by_exactly_one_of_many(storage: SqlStorage, rows: Rows) -> None:
    async def send() -> bool:
        run = rows.run()
        async with storage.unit_of_work() as work:
            try:
                await work.runs.add(run, rows.command(run, "c1"))
            except Conflict:
                return False
            await work.commit()
            return True

    assert sorted(await asyncio.gather(*(send() for _ in range(8)))) == [False] * 7 + [True]
    async with storage.unit_of_work(readonly=True) as work:
        assert len(await work.runs.active(rows.conversation.id)) == 1


async def test_unknown_runs_are_not_found(storage: SqlStorage) -> None:
    async with storage.unit_of_work() as work:
        for attempt in (
            work.runs.get(new_id()),
            work.runs.of_answer(new_id()),
            work.runs.position(new_id()),
            work.runs.announce(new_id()),
            work.runs.request_stop(new_id()),
            work.runs.finish(new_id(), RunStatus.COMPLETE, at=NOW),
        ):
            with pytest.raises(NotFound):
                await attempt


async def test_claimed_run_is_running_with_owner_and_lease(storage: SqlStorage, rows: Rows) -> None:
    run = await rows.add_run()
    assert await claim(storage, {GPU1: 1}) == [
        replace(run, status=RunStatus.RUNNING, owner="p1", lease_until=at(30)),
    ]
    assert await claim(storage, {GPU1: 9}) == []


async def test_capacity_is_counted_for_each_host_over_all_processes(storage: SqlStorage, rows: Rows) -> None:
    for seconds in range(3):
        await rows.add_run(queued=seconds)
        await rows.add_run(host="gpu2", queued=seconds)
    assert len(await claim(storage, {GPU1: 1, GPU2: 0}, owner="p1")) == 1
    taken = await claim(storage, {GPU1: 2, GPU2: 1}, owner="p2")
    assert sorted(run.host for run in taken) == ["gpu1", "gpu2"]
    assert await claim(storage, {GPU1: 2, GPU2: 1, ("other", "gpu1"): 5}, owner="p1") == []


async def test_host_that_is_not_named_has_room_for_one(storage: SqlStorage, rows: Rows) -> None:
    runs = [await rows.add_run(queued=seconds) for seconds in range(2)]
    assert await claim(storage, {GPU1: 0}) == []
    assert [run.id for run in await claim(storage, {GPU2: 5})] == [runs[0].id]
    assert await claim(storage, {}) == []


async def test_run_whose_lease_ran_out_holds_no_place(storage: SqlStorage, rows: Rows) -> None:
    await rows.add_run()
    waiting = await rows.add_run(queued=1)
    await claim(storage, {GPU1: 1}, until=at(10))
    assert await claim(storage, {GPU1: 1}, now=at(9)) == []
    assert [run.id for run in await claim(storage, {GPU1: 1}, now=at(10))] == [waiting.id]


async def test_conversation_has_one_run_at_a_time_in_order(storage: SqlStorage, rows: Rows) -> None:
    runs = [await rows.add_run(conversation=rows.conversation, queued=seconds) for seconds in (1, 2, 3)]
    for expected in runs:
        assert [run.id for run in await claim(storage, {GPU1: 9})] == [expected.id]
        assert await claim(storage, {GPU1: 9}) == []
        await finish(storage, expected)


async def test_earlier_run_of_a_conversation_on_a_full_host_is_not_overtaken(storage: SqlStorage, rows: Rows) -> None:
    await rows.add_run(conversation=rows.conversation, host="gpu2", queued=1)
    await rows.add_run(conversation=rows.conversation, host="gpu1", queued=2)
    assert await claim(storage, {GPU1: 9, GPU2: 0}) == []


async def test_database_itself_refuses_a_second_running_run(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work() as work:
        await work.runs.add(replace(rows.run(), status=RunStatus.RUNNING), None)
        with pytest.raises(Conflict):
            await work.runs.add(replace(rows.run(), status=RunStatus.RUNNING), None)


async def test_users_take_turns(storage: SqlStorage, rows: Rows) -> None:
    bob = await rows.add_user("bob")
    ada_runs = [await rows.add_run(queued=seconds) for seconds in (1, 2, 3, 4)]
    bob_runs = [await rows.add_run(user=bob, queued=seconds) for seconds in (5, 6)]
    async with storage.unit_of_work(readonly=True) as work:
        places = [await work.runs.position(run.id) for run in (*ada_runs, *bob_runs)]
        assert places == [0, 2, 4, 5, 1, 3]
        assert await work.runs.queued() == await work.runs.queued("ollama") == 6
        assert await work.runs.queued("other") == 0
    assert [run.id for run in await claim(storage, {GPU1: 9}, limit=1)] == [ada_runs[0].id]
    order = [run.id for run in await claim(storage, {GPU1: 9}, limit=9)]
    # Ada has an answer running, so Bob's first goes before hers and his second stands equal with it.
    assert order == [run.id for run in (bob_runs[0], ada_runs[1], bob_runs[1], ada_runs[2], ada_runs[3])]
    async with storage.unit_of_work(readonly=True) as work:
        assert await work.runs.position(ada_runs[3].id) == 0


async def test_many_claimers_at_once_never_exceed_capacity(storage: SqlStorage, rows: Rows) -> None:
    for _ in range(4):
        conversation = await rows.add_conversation()
        for seconds in (1, 2, 3):
            await rows.add_run(conversation=conversation, queued=seconds)
    capacity = {GPU1: 3}
    claims = await asyncio.gather(*(claim(storage, capacity, owner=f"p{n}", limit=2) for n in range(6)))
    taken = [run for found in claims for run in found]
    assert len(taken) == len({run.id for run in taken}) == len({run.conversation_id for run in taken}) == 3


async def test_heartbeat_renews_and_tells_what_to_stop(storage: SqlStorage, rows: Rows) -> None:
    runs = [await rows.add_run(queued=seconds) for seconds in (1, 2, 3)]
    await claim(storage, {GPU1: 2}, owner="p1")
    await claim(storage, {GPU1: 3}, owner="p2")
    async with storage.unit_of_work() as work:
        stopping = await work.runs.request_stop(runs[0].id)
        assert (stopping.status, stopping.stop_requested) == (RunStatus.RUNNING, True)
        await work.runs.request_stop(runs[2].id)
        assert await work.runs.heartbeat([run.id for run in runs], owner="p1", until=at(99)) == [runs[0].id]
        leases = [(await work.runs.get(run.id)).lease_until for run in runs]
        assert leases == [at(99), at(99), at(30)]
        await work.runs.heartbeat([runs[1].id], owner="p1", until=at(120))
        assert (await work.runs.get(runs[0].id)).lease_until == at(99), "one that its owner lost is not renewed"


async def test_stopping_a_queued_run_ends_it_and_an_ended_one_stays(storage: SqlStorage, rows: Rows) -> None:
    run = await rows.add_run()
    async with storage.unit_of_work() as work:
        assert (await work.runs.request_stop(run.id)).status == RunStatus.STOPPED
        assert (await work.runs.request_stop(run.id)).status == RunStatus.STOPPED
        await work.runs.finish(run.id, RunStatus.COMPLETE, at=NOW)
        assert (await work.runs.get(run.id)).status == RunStatus.STOPPED
        await work.commit()
    assert await claim(storage, {GPU1: 1}) == []


async def test_the_first_end_of_a_run_stands(storage: SqlStorage, rows: Rows) -> None:
    run = await rows.add_run()
    await claim(storage, {GPU1: 1})
    await finish(storage, run, RunStatus.INTERRUPTED)
    await finish(storage, run, RunStatus.COMPLETE)
    async with storage.unit_of_work(readonly=True) as work:
        ended = await work.runs.get(run.id)
        assert (ended.status, ended.lease_until) == (RunStatus.INTERRUPTED, None)
        assert await work.runs.active(run.conversation_id) == []


@pytest.mark.parametrize("readonly", [False, True])
async def test_abandoned_runs_are_those_without_lease_or_of_other_owners(
    storage: SqlStorage, rows: Rows, readonly: bool
) -> None:
    runs = [await rows.add_run(queued=seconds) for seconds in (1, 2, 3)]
    await claim(storage, {GPU1: 1}, owner="p1", until=at(10))
    await claim(storage, {GPU1: 2}, owner="p2", until=at(20))
    async with storage.unit_of_work(readonly=readonly) as work:

        async def abandoned(now: float, except_owner: str | None = None, limit: int = 9) -> list[object]:
            found = await work.runs.abandoned(now=at(now), except_owner=except_owner, limit=limit)
            return [run.id for run in found]

        assert await abandoned(9) == []
        assert await abandoned(10) == [runs[0].id]
        assert await abandoned(20) == [runs[0].id, runs[1].id]
        assert await abandoned(20, limit=1) == [runs[0].id]
        assert await abandoned(0, "p1") == [runs[1].id]
        assert await abandoned(0, "p3") == [runs[0].id, runs[1].id]
