"""Whose run comes next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from eudai_core.contracts import Storage
from eudai_core.model import Run, RunStatus
from eudai_core.testing._storage.keeping import must, must_equal
from eudai_core.testing._storage.rows import NOW, Rows, at

__all__ = [
    "check_capacity",
    "check_claim",
    "check_claimers_at_once",
    "check_expired_run_takes_no_place",
    "check_fair_turns",
    "check_longest_waiting_first",
    "check_one_run_of_a_conversation",
    "check_positions",
    "check_queued",
    "claim",
]

GPU1, GPU2 = ("ollama", "gpu1"), ("ollama", "gpu2")


async def claim(
    rows: Rows,
    *,
    capacity: int | Mapping[tuple[str, str], int],
    owner: str = "p1",
    now: float = 0,
    until: float = 30,
    limit: int = 99,
    storage: Storage | None = None,
) -> list[Run]:
    """Claim runs in a unit of work of its own; a number is the capacity of the host ``gpu1``."""
    room = {GPU1: capacity} if isinstance(capacity, int) else capacity
    async with rows.writing(storage) as work:
        taken = await work.runs.claim(owner=owner, now=at(now), until=at(until), capacity=room, limit=limit)
    return list(taken)


async def check_claim(rows: Rows) -> None:
    """A claimed run is running, with owner and lease, and claimed by nobody else."""
    run = rows.run()
    await rows.add_runs(run)
    async with rows.storage.unit_of_work() as work:
        await work.runs.claim(owner="p1", now=NOW, until=at(30), capacity={GPU1: 9}, limit=9)
    taken = await claim(rows, owner="p2", capacity=1)
    expected = replace(run, status=RunStatus.RUNNING, owner="p2", lease_until=at(30))
    must_equal(taken, [expected], "a claimed run is running, with its owner and lease")
    must_equal(await claim(rows, owner="p1", capacity=9, storage=rows.another), [], "a run is claimed by one owner")
    async with rows.reading() as work:
        must_equal(await work.runs.get(run.id), expected, "claim() returns the runs as they are stored")


async def check_longest_waiting_first(rows: Rows) -> None:
    """Of one user's runs the longest waiting goes first, and no more than ``limit`` are taken."""
    queued = (3, 1, 2, 0)
    runs = [rows.run(c, queued=n) for n, c in zip(queued, await rows.add_conversations(4), strict=True)]
    await rows.add_runs(*runs)
    taken = await claim(rows, capacity=9, limit=2)
    must_equal(
        [run.id for run in taken], [runs[3].id, runs[1].id], "up to `limit` are taken, the longest waiting first"
    )
    taken = await claim(rows, capacity=9)
    must_equal([run.id for run in taken], [runs[2].id, runs[0].id], "the longest waiting go first")


async def check_capacity(rows: Rows) -> None:
    """A host has no more running than its capacity, over all owners; one that is not named has room for one."""
    conversations = iter(await rows.add_conversations(9))
    for _ in range(3):
        await rows.add_runs(*(rows.run(next(conversations), host=host) for host in ("gpu1", "gpu2")))
    await rows.add_runs(rows.run(next(conversations), backend="other"), rows.run(next(conversations), backend="other"))

    async def hosts(owner: str, capacity: Mapping[tuple[str, str], int]) -> list[tuple[str, str]]:
        return sorted((run.backend, run.host) for run in await claim(rows, owner=owner, capacity=capacity))

    other = ("other", "gpu1")
    found = await hosts("p1", {GPU1: 1, GPU2: 0, other: 0})
    must_equal(found, [GPU1], "each host has room for as many as its capacity says")
    found = await hosts("p2", {GPU1: 2, GPU2: 1, other: 0})
    must_equal(found, [GPU1, GPU2], "running answers of other owners count")
    must_equal(await hosts("p2", {GPU1: 2, GPU2: 1, other: 0}), [], "a full host takes no more")
    must_equal(await hosts("p1", {GPU1: 1, GPU2: 1}), [other], "a host that is not named has room for one")
    must_equal(await hosts("p1", {}), [], "a host that is not named has room for one")


async def check_expired_run_takes_no_place(rows: Rows) -> None:
    """A run whose lease ran out takes no place of its host."""
    runs = [rows.run(c, queued=n) for n, c in enumerate(await rows.add_conversations(2))]
    await rows.add_runs(*runs)
    await claim(rows, capacity=1, until=10)
    must_equal(await claim(rows, capacity=1, now=9, until=40), [], "a run takes its place while its lease runs")
    taken = await claim(rows, capacity=1, now=10, until=40)
    must_equal([run.id for run in taken], [runs[1].id], "a run whose lease ran out takes no place")


async def check_one_run_of_a_conversation(rows: Rows) -> None:
    """A conversation has one run at a time, in their order."""
    runs = [rows.run(queued=queued) for queued in (1, 2, 3)]
    await rows.add_runs(*runs[::-1])
    for number, run in enumerate(runs):
        now = 100.0 * number
        taken = await claim(rows, capacity=9, now=now, until=now + 30)
        must_equal([one.id for one in taken], [run.id], "one run of a conversation at a time, in their order")
        again = await claim(rows, capacity=9, owner="p2", now=now + 60, until=now + 90)
        must_equal(again, [], "a running run keeps its conversation, also when its lease ran out")
        async with rows.writing() as work:
            await work.runs.finish(run.id, RunStatus.COMPLETE, owner="p1", at=NOW)
    await rows.add_runs(rows.run(host="gpu2", queued=5), rows.run(host="gpu1", queued=6))
    taken = await claim(rows, capacity={GPU1: 9, GPU2: 0}, now=999, until=1000)
    must_equal(taken, [], "a run that waits for a full host is not overtaken in its conversation")


async def check_fair_turns(rows: Rows) -> None:
    """Users with fewer running answers go first, equals by waiting time."""
    bob = await rows.add_user("bob")
    conversations = await rows.add_conversations(6)
    ada_runs = [rows.run(conversations[n], queued=n) for n in range(4)]
    bob_runs = [rows.run(conversations[4 + n], user=bob, queued=10 + n) for n in range(2)]
    await rows.add_runs(*ada_runs, *bob_runs)
    fair = [run.id for run in (ada_runs[0], bob_runs[0], ada_runs[1], bob_runs[1], ada_runs[2], ada_runs[3])]
    taken = [run.id for run in await claim(rows, capacity=9, limit=1)]
    taken += [run.id for run in await claim(rows, capacity=9, limit=3)]
    for _ in range(2):
        taken += [run.id for run in await claim(rows, capacity=9, limit=1)]
    must_equal(taken, fair, "users with fewer running answers go first, then the longest waiting")


async def check_positions(rows: Rows) -> None:
    """A run's position is how many go before it on its host, in the order of claims."""
    bob = await rows.add_user("bob")
    conversations = await rows.add_conversations(7)
    ada_runs = [rows.run(conversations[n], queued=n) for n in range(4)]
    bob_runs = [rows.run(conversations[4 + n], user=bob, queued=10 + n) for n in range(2)]
    elsewhere = rows.run(conversations[6], host="gpu2", queued=99)
    waiting = [*ada_runs, *bob_runs]
    await rows.add_runs(*waiting, elsewhere)
    while waiting:
        async with rows.reading() as work:
            places = {run.id: await work.runs.position(run.id) for run in waiting}
            must_equal(await work.runs.position(elsewhere.id), 0, "only runs of the same backend host stand before")
        must_equal(sorted(places.values()), list(range(len(waiting))), "positions are 0 to n - 1")
        (taken,) = await claim(rows, capacity={GPU1: 9, GPU2: 0}, limit=1)
        must_equal(places[taken.id], 0, "the run in position 0 is claimed next")
        waiting = [run for run in waiting if run.id != taken.id]
    async with rows.reading() as work:
        must_equal(await work.runs.position(ada_runs[3].id), 0, "the position of a running run is 0")


async def check_queued(rows: Rows) -> None:
    """Queued runs are counted, of one backend or of all."""
    runs = [rows.run(c) for c in await rows.add_conversations(3)]
    await rows.add_runs(*runs, rows.run(backend="other", host="gpu9"))
    await claim(rows, capacity={GPU1: 1, ("other", "gpu9"): 0})
    async with rows.reading() as work:
        counts = [await work.runs.queued(backend) for backend in (None, "ollama", "other", "none")]
    must_equal(counts, [3, 2, 1, 0], "queued() counts runs that wait, of one backend or of all")


async def check_claimers_at_once(rows: Rows) -> None:
    """Claimers at the same time never exceed a capacity and never take two runs of one conversation."""
    for conversation in await rows.add_conversations(4):
        await rows.add_runs(*(rows.run(conversation, queued=queued) for queued in (1, 2, 3)))
    claims = await asyncio.gather(
        *(claim(rows, capacity=3, owner=f"p{n}", limit=2, storage=rows.handle(n)) for n in range(6))
    )
    taken = [run for found in claims for run in found]
    must_equal(len(taken), 3, "claimers at once fill the capacity and never exceed it")
    must_equal(len({run.id for run in taken}), 3, "no run is claimed twice")
    must_equal(len({run.conversation_id for run in taken}), 3, "no conversation has two runs at once")
    async with rows.reading() as work:
        for run in taken:
            must((await work.runs.get(run.id)).owner == run.owner, "a claimed run has the owner that claimed it")
