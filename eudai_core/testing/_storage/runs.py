"""Commands, and the life of a run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

from eudai_core.errors import Conflict, NotFound
from eudai_core.ids import new_id
from eudai_core.model import CommandKind, Heartbeat, Run, RunStatus
from eudai_core.testing._storage.keeping import must, must_equal
from eudai_core.testing._storage.queue import claim
from eudai_core.testing._storage.rows import NOW, Rows, at

__all__ = [
    "check_abandoned",
    "check_active_runs",
    "check_commands",
    "check_finishing",
    "check_heartbeat",
    "check_one_command_at_once",
    "check_release",
    "check_run_belongs",
    "check_runs",
    "check_stop_at_once",
    "check_stop_left_to_the_claimer",
    "check_stopping_a_queued_run",
    "check_stopping_a_running_run",
]


async def check_runs(rows: Rows) -> None:
    """A run comes back whole."""
    run = replace(rows.run(), kind=CommandKind.CONTINUE, options={"think": False, "list": [1, {"a": None}]})
    async with rows.writing() as work:
        await work.runs.add(run, None)
    async with rows.writing() as work:
        must_equal(await work.runs.get(run.id), run, "a run comes back whole")
        await work.runs.announce(run.id)
    async with rows.reading() as work:
        must_equal(await work.runs.get(run.id), replace(run, announced=True), "announce() is noted, and nothing else")


async def check_run_belongs(rows: Rows) -> None:
    """Runs that are not there are NotFound."""
    for call in (
        lambda work: work.runs.get(new_id()),
        lambda work: work.runs.position(new_id()),
        lambda work: work.runs.announce(new_id()),
        lambda work: work.runs.request_stop(new_id(), at=NOW),
        lambda work: work.runs.finish(new_id(), RunStatus.COMPLETE, owner="p1", at=NOW),
        lambda work: work.runs.finish(new_id(), RunStatus.COMPLETE, owner=None, at=NOW),
    ):
        await rows.refused(NotFound, call, "a run that is not there is NotFound")
    nowhere = replace(rows.run(), conversation_id=new_id())
    await rows.refused(NotFound, lambda work: work.runs.add(nowhere, None), "a run of no conversation is NotFound")
    async with rows.writing() as work:
        must(not await work.runs.release(new_id(), owner="p1"), "releasing a run that is not there is False")
        beat = await work.runs.heartbeat([new_id()], owner="p1", until=NOW)
        must_equal(beat, Heartbeat(frozenset(), frozenset()), "a run that is not there is not renewed")


async def check_commands(rows: Rows) -> None:
    """A command is kept under its client_id, which is taken once in a conversation."""
    other = await rows.add_conversation()
    run = rows.run()
    command = rows.command(run, "c1")
    async with rows.writing() as work:
        await work.runs.add(run, command)
    elsewhere, again = rows.run(other), rows.run()
    async with rows.writing() as work:
        await work.runs.add(elsewhere, rows.command(elsewhere, "c1"))
    await rows.refused(
        Conflict,
        lambda work: work.runs.add(again, rows.command(again, "c1")),
        "a client_id that is taken in the conversation is a Conflict",
    )
    async with rows.reading() as work:
        must_equal(await work.runs.command(rows.conversation.id, "c1"), command, "a command comes back whole")
        must(await work.runs.command(rows.conversation.id, "C1") is None, "a client_id is compared exactly")
        must(await work.runs.command(new_id(), "c1") is None, "a command is of one conversation")
        must_equal(len(await work.runs.active(rows.conversation.id)), 1, "a run whose command is refused is not kept")


async def check_one_command_at_once(rows: Rows) -> None:
    """Of many commands with one client_id at once one is accepted, with its run."""

    async def send(number: int) -> bool:
        run = rows.run()
        try:
            async with rows.writing(rows.handle(number)) as work:
                await work.runs.add(run, rows.command(run, "c1"))
        except Conflict:
            return False
        return True

    accepted = await asyncio.gather(*(send(number) for number in range(8)))
    must_equal(sum(accepted), 1, "of many commands with one client_id one is accepted, the others are a Conflict")
    async with rows.reading() as work:
        must_equal(len(await work.runs.active(rows.conversation.id)), 1, "one command makes one run")


async def check_active_runs(rows: Rows) -> None:
    """The queued and running runs of a conversation are given in their order."""
    other = await rows.add_conversation()
    runs = [rows.run(queued=queued) for queued in (3, 1, 2, 0)]
    await rows.add_runs(*runs, rows.run(other))
    await claim(rows, capacity=9)
    async with rows.writing() as work:
        await work.runs.request_stop(runs[1].id, at=NOW)
    async with rows.reading() as work:
        active = await work.runs.active(rows.conversation.id)
        expected = [(runs[n].id, status) for n, status in ((3, "running"), (2, "queued"), (0, "queued"))]
        must_equal(
            [(run.id, run.status) for run in active], expected, "active() gives queued and running runs in their order"
        )
        must_equal(await work.runs.active(new_id()), [], "a conversation that is not there has no runs")


async def check_heartbeat(rows: Rows) -> None:
    """A heartbeat renews the named runs that the owner has, and tells which are to stop."""
    mine, stopping, forgotten, theirs, queued = [rows.run(c) for c in await rows.add_conversations(5)]
    await rows.add_runs(mine, stopping, forgotten)
    await claim(rows, owner="p1", capacity=9)
    await rows.add_runs(theirs)
    await claim(rows, owner="p2", capacity=9)
    await rows.add_runs(queued)
    async with rows.writing() as work:
        await work.runs.request_stop(stopping.id, at=NOW)
        await work.runs.request_stop(theirs.id, at=NOW)
        named = [mine.id, stopping.id, theirs.id, queued.id]
        beat = await work.runs.heartbeat(named, owner="p1", until=at(99))
        must_equal(beat.renewed, {mine.id, stopping.id}, "a heartbeat tells which runs the owner still has")
        must_equal(beat.stop_requested, {stopping.id}, "a heartbeat tells which of them are to stop")
        await work.runs.heartbeat([], owner="p1", until=at(999))
    async with rows.reading() as work:
        leases = [(await work.runs.get(run.id)).lease_until for run in (mine, stopping, forgotten, theirs, queued)]
    must_equal(leases[:2], [at(99), at(99)], "a heartbeat renews leases")
    must_equal(leases[2:], [at(30), at(30), None], "a run that is not named, or not the owner's, is not renewed")


async def check_release(rows: Rows) -> None:
    """A released run waits again at its old place."""
    runs = [rows.run(c, queued=n) for n, c in enumerate(await rows.add_conversations(3))]
    await rows.add_runs(*runs)
    await claim(rows, owner="p1", capacity=1)
    async with rows.writing() as work:
        must(not await work.runs.release(runs[0].id, owner="p2"), "only the owner can release a run")
        must(not await work.runs.release(runs[1].id, owner="p1"), "a run that waits cannot be released")
        must(await work.runs.release(runs[0].id, owner="p1"), "the owner can release a run")
        must(not await work.runs.release(runs[0].id, owner="p1"), "a run is released once")
    async with rows.reading() as work:
        must_equal(await work.runs.get(runs[0].id), runs[0], "a released run is as it was before it was claimed")
    taken = await claim(rows, owner="p3", capacity=1)
    must_equal([run.id for run in taken], [runs[0].id], "a released run is claimed again at its old place")


async def check_stopping_a_queued_run(rows: Rows) -> None:
    """A queued run that is stopped ends at once, and one caller gets it."""
    run = rows.run()
    await rows.add_runs(run)
    async with rows.writing() as work:
        ended = await work.runs.request_stop(run.id, at=NOW)
        must(ended is not None and ended.id == run.id, "the call that ended a queued run gets it")
        must_equal(ended and ended.status, RunStatus.STOPPED, "a queued run that is stopped is `stopped`")
        must(await work.runs.request_stop(run.id, at=NOW) is None, "a run that ended is not ended again")
    must_equal(await claim(rows, capacity=9), [], "a stopped run is not claimed")
    async with rows.reading() as work:
        must_equal(await work.runs.active(rows.conversation.id), [], "a stopped run waits no more")
        must_equal(await work.runs.queued(), 0, "a stopped run waits no more")


async def check_stop_left_to_the_claimer(rows: Rows) -> None:
    """A queued run that is asked to stop, and not to end, keeps its place, and whoever claims it knows."""
    first, second = rows.run(queued=1), rows.run(queued=2)
    await rows.add_runs(first, second)
    async with rows.writing() as work:
        must(await work.runs.request_stop(first.id, at=NOW, end=False) is None, "without `end` nothing is ended")
        must_equal(await work.runs.get(first.id), replace(first, stop_requested=True), "a queued run is asked to stop")
    taken = await claim(rows, capacity=9)
    found = [(run.id, run.stop_requested) for run in taken]
    must_equal(found, [(first.id, True)], "a run that is to stop is claimed at its place, and its claimer is told so")


async def check_stop_at_once(rows: Rows) -> None:
    """Of many who stop a queued run at once one ends its answer."""
    run = rows.run()
    await rows.add_runs(run)

    async def stop(number: int) -> Run | None:
        async with rows.writing(rows.handle(number)) as work:
            return await work.runs.request_stop(run.id, at=NOW)

    ended = await asyncio.gather(*(stop(number) for number in range(6)))
    must_equal(sum(one is not None for one in ended), 1, "of many callers one gets the run that was stopped")


async def check_stopping_a_running_run(rows: Rows) -> None:
    """A running run is asked to stop and ended by its owner; put back, it is to stop still, whoever claims it."""
    run = rows.run()
    await rows.add_runs(run)
    (taken,) = await claim(rows, owner="p1", capacity=9)
    async with rows.writing() as work:
        must(await work.runs.request_stop(run.id, at=NOW) is None, "a running run is ended by its owner")
        must_equal(await work.runs.get(run.id), replace(taken, stop_requested=True), "a running run is asked to stop")
        must(await work.runs.release(run.id, owner="p1"), "the owner can release a run")
    again = await claim(rows, owner="p2", capacity=9)
    must_equal([one.stop_requested for one in again], [True], "a run that was put back is to stop still")
    async with rows.writing() as work:
        must(await work.runs.release(run.id, owner="p2"), "the owner can release a run")
        ended = await work.runs.request_stop(run.id, at=NOW)
        must_equal(ended and ended.status, RunStatus.STOPPED, "a released run that is to stop can be stopped")


async def check_finishing(rows: Rows) -> None:
    """A run ends once, by its owner or by who found its lease run out."""
    runs = [rows.run(c) for c in await rows.add_conversations(3)]
    await rows.add_runs(*runs)
    await claim(rows, owner="p1", capacity=2)
    first, second, queued = (run.id for run in runs)

    async def finish(run_id: UUID, status: RunStatus, owner: str | None) -> bool:
        async with rows.writing() as work:
            return await work.runs.finish(run_id, status, owner=owner, at=NOW)

    must(not await finish(first, RunStatus.COMPLETE, "p2"), "another owner cannot end a run")
    must(await finish(first, RunStatus.COMPLETE, "p1"), "its owner ends a run")
    must(await finish(second, RunStatus.INTERRUPTED, None), "without an owner whoever has it, a running run is ended")
    for owner in ("p1", None):
        must(not await finish(first, RunStatus.FAILED, owner), "a run that ended is not ended again")
        must(not await finish(second, RunStatus.FAILED, owner), "a run that ended is not ended again")
        must(not await finish(queued, RunStatus.FAILED, owner), "a run that waits is nobody's, and is not ended")
    async with rows.reading() as work:
        found = [await work.runs.get(run.id) for run in runs]
    must_equal(
        [run.status for run in found],
        [RunStatus.COMPLETE, RunStatus.INTERRUPTED, RunStatus.QUEUED],
        "the first end of a run stands",
    )
    must(all(run.lease_until is None for run in found), "a run that ended has no lease")


async def check_abandoned(rows: Rows) -> None:
    """Abandoned are running runs whose lease ran out, or all that are not the excepted owner's."""
    runs = [rows.run(c) for c in await rows.add_conversations(4)]
    await rows.add_runs(*runs[:3])
    await claim(rows, owner="p1", capacity=1, until=10)
    await claim(rows, owner="p2", capacity=2, until=20)
    await claim(rows, owner="p1", capacity=3, until=30)
    async with rows.writing() as work:
        await work.runs.finish(runs[2].id, RunStatus.COMPLETE, owner="p1", at=NOW)
        await work.runs.add(runs[3], None)
    first, second = runs[0].id, runs[1].id
    for readonly in (True, False):
        async with rows.storage.unit_of_work(readonly=readonly) as work:
            for now, owner, limit, expected in (
                (9, None, 9, set()),
                (10, None, 9, {first}),
                (99, None, 9, {first, second}),
                (0, "p1", 9, {second}),
                (99, "p1", 9, {second}),
                (0, "p3", 9, {first, second}),
            ):
                found = await work.runs.abandoned(now=at(now), except_owner=owner, limit=limit)
                must_equal(
                    {run.id for run in found},
                    expected,
                    "abandoned are running runs whose lease ran out; with except_owner all of other owners",
                )
            must_equal(len(await work.runs.abandoned(now=at(99), except_owner=None, limit=1)), 1, "up to `limit`")
            for owner, known, expected in ((None, first, {second}), (None, second, {first}), ("p1", second, set())):
                found = await work.runs.abandoned(now=at(99), except_owner=owner, limit=1, known=[known])
                must_equal({run.id for run in found}, expected, "those that are `known` take no place")
