"""Background jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.ids import new_id
from eudai_core.model import Job, JobState
from eudai_core.testing._storage.keeping import must, must_equal
from eudai_core.testing._storage.rows import Rows, at

__all__ = [
    "check_due_jobs",
    "check_failed_jobs",
    "check_job_claimers_at_once",
    "check_job_heartbeat",
    "check_job_leases",
    "check_job_owners",
    "check_job_retries",
    "check_jobs_put_down",
    "check_next_due",
    "check_one_open_job",
    "check_running_jobs",
]


async def check_one_open_job(rows: Rows) -> None:
    """One key has one job of a kind that is waiting or running."""
    first = _job("a")
    added = await _add(rows, first, _job("a"), _job("a", kind="other"), _job("b"), _job("A"))
    must_equal(added, [True, False, True, True, True], "a job of a kind and key is added once while one is waiting")
    await _claim(rows)
    must_equal(await _add(rows, _job("a")), [False], "a job is not added while one of its kind and key is running")
    async with rows.writing() as work:
        await work.jobs.finish(first.id, owner="p1")
    must_equal(await _add(rows, _job("a")), [True], "a job is added again when the one before is done")
    at_once = await asyncio.gather(*(_add(rows, _job("x"), storage=rows.handle(n)) for n in range(6)))
    must_equal(sum(one for (one,) in at_once), 1, "of many jobs of one kind and key at once one is added")


async def check_due_jobs(rows: Rows) -> None:
    """Jobs that are due are claimed oldest first, come back whole and count the try."""
    late, early, future = _job("a", due=-1), _job("b", due=-2), _job("c", due=5)
    await _add(rows, late, early, future, _job("d", kind="other"))
    async with rows.storage.unit_of_work() as work:
        await work.jobs.claim(["index"], owner="p1", now=at(0), until=at(30), limit=9)
    must_equal(await _claim(rows, limit=1), [_running(early)], "the oldest is claimed first, up to `limit`")
    must_equal(await _claim(rows), [_running(late)], "a claimed job is running, with owner, lease and one try more")
    must_equal(await _claim(rows), [], "what is not due, of another kind, or claimed is left alone")
    claimed = await _claim(rows, now=5, kinds=["none", "index", "other"])
    must_equal([job.key for job in claimed], ["d", "c"], "jobs of several kinds are claimed, oldest first")
    must_equal(await _claim(rows, now=99, kinds=[]), [], "no kinds, no jobs")


async def check_job_leases(rows: Rows) -> None:
    """A job whose lease ran out is claimed by others, and each claim counts as a try."""
    job = _job("a")
    await _add(rows, job)
    await _claim(rows)
    must_equal(await _claim(rows, now=29, owner="p2"), [], "a job is left to its owner while its lease runs")
    again = await _claim(rows, now=30, owner="p2")
    must_equal([(one.id, one.owner, one.attempts) for one in again], [(job.id, "p2", 2)], "then others claim it")


async def check_job_heartbeat(rows: Rows) -> None:
    """A heartbeat renews all running jobs of an owner."""
    jobs = [_job("a"), _job("b"), _job("c", due=1), _job("d", due=50)]
    await _add(rows, *jobs)
    await _claim(rows)
    await _claim(rows, now=1, owner="p2")
    async with rows.writing() as work:
        renewed = await work.jobs.heartbeat(owner="p1", until=at(99))
        must_equal(set(renewed), {jobs[0].id, jobs[1].id}, "a heartbeat returns the running jobs of the owner")
        must_equal(await work.jobs.heartbeat(owner="p3", until=at(99)), [], "an owner without jobs has none")
    claimed = await _claim(rows, now=98, owner="p4")
    must_equal([job.key for job in claimed], ["c", "d"], "a heartbeat renews leases, of its owner only")


async def check_jobs_put_down(rows: Rows) -> None:
    """A job that is put down unfinished counts no try: at once claimable, or from a time on."""
    job = _job("a")
    await _add(rows, job)
    await _claim(rows)
    async with rows.writing() as work:
        await work.jobs.release(job.id, owner="p1")
    (again,) = await _must_claim(rows, "a released job can be claimed at once", owner="p2")
    must_equal(again, _running(job, owner="p2"), "a released job is as before; its claim was no try")
    async with rows.writing() as work:
        await work.jobs.postpone(job.id, owner="p2", run_after=at(10))
    must_equal(await _claim(rows, now=9), [], "a postponed job waits for its time")
    (again,) = await _must_claim(rows, "a postponed job is claimed when it is due", now=10)
    expected = replace(_running(job, until=40), run_after=at(10))
    must_equal(again, expected, "a postponed job counts no try")


async def check_job_retries(rows: Rows) -> None:
    """A job that failed is tried again at its time, with its error and its tries."""
    job = _job("a")
    await _add(rows, job)
    await _claim(rows)
    async with rows.writing() as work:
        await work.jobs.retry(job.id, owner="p1", error="not yet", run_after=at(10))
    must_equal(await _claim(rows, now=9), [], "a job to be tried again waits for its time")
    must_equal(await _add(rows, _job("a")), [False], "a job to be tried again is still open")
    (again,) = await _must_claim(rows, "a job is tried again when it is due", now=10)
    expected = replace(_running(job, until=40), run_after=at(10), error="not yet", attempts=2)
    must_equal(again, expected, "a job that is tried again has its error, and its tries are counted")


async def check_failed_jobs(rows: Rows) -> None:
    """A job that failed for good is never claimed, and no obstacle to another."""
    job = _job("a")
    await _add(rows, job)
    await _claim(rows)
    async with rows.writing() as work:
        await work.jobs.fail(job.id, owner="p1", error="broken")
    must_equal(await _claim(rows, now=999), [], "a job that failed for good is not claimed")
    async with rows.reading() as work:
        must(await work.jobs.next_due(["index"]) is None, "a job that failed for good is not due")
    must_equal(await _add(rows, _job("a")), [True], "a failed job is no obstacle")


async def check_job_owners(rows: Rows) -> None:
    """What a former owner tells of a job changes nothing."""
    job = _job("a")
    await _add(rows, job)
    await _claim(rows, owner="p1")
    await _claim(rows, now=30, owner="p2")

    async def tell_all(work: UnitOfWork, owner: str) -> None:
        await work.jobs.release(job.id, owner=owner)
        await work.jobs.postpone(job.id, owner=owner, run_after=at(0))
        await work.jobs.retry(job.id, owner=owner, error="x", run_after=at(0))
        await work.jobs.fail(job.id, owner=owner, error="x")
        await work.jobs.finish(job.id, owner=owner)

    async with rows.writing() as work:
        await tell_all(work, "p1")
        await work.jobs.heartbeat(owner="p1", until=at(999))
    must_equal(await _claim(rows, now=59, owner="p3"), [], "a job stays with the owner that claimed it last")
    must_equal(await _add(rows, _job("a")), [False], "a former owner cannot end a job")
    async with rows.writing() as work:
        await work.jobs.finish(job.id, owner="p2")
        await tell_all(work, "p2")
    must_equal(await _claim(rows, now=999), [], "a job that is done stays done")
    must_equal(await _add(rows, _job("a")), [True], "a job that is done is no obstacle")


async def check_running_jobs(rows: Rows) -> None:
    """A kind is running while the lease of one of its jobs runs."""
    job = _job("a")
    await _add(rows, job, _job("b", kind="other"))

    async def running(now: float, kind: str = "index") -> bool:
        async with rows.reading() as work:
            return await work.jobs.running(kind, now=at(now))

    must(not await running(0), "a job that waits is not running")
    await _claim(rows)
    must(await running(29), "a job is running while its lease runs")
    must(not await running(30), "a job whose lease ran out is not running")
    must(not await running(0, "other"), "a job of another kind does not count")
    async with rows.writing() as work:
        await work.jobs.finish(job.id, owner="p1")
    must(not await running(0), "a job that is done is not running")


async def check_next_due(rows: Rows) -> None:
    """The time is told from which on the next job may be claimed."""
    jobs = [_job("a", due=7), _job("b", due=3)]
    await _add(rows, *jobs, _job("c", kind="other", due=1))

    async def due(*kinds: str) -> object:
        async with rows.reading() as work:
            return await work.jobs.next_due(kinds)

    must_equal(await due("index"), at(3), "next_due() is the time of the next job of the kinds that waits")
    must_equal(await due("index", "other"), at(1), "next_due() is the time of the next job of the kinds that waits")
    must(await due("none") is None, "next_due() is None when there is no job")
    await _claim(rows, now=3)
    must_equal(await due("index"), at(7), "a job that is running is not due while another one is")
    await _claim(rows, now=7)
    must_equal(await due("index"), at(33), "a job that is running is due when its lease runs out")
    async with rows.writing() as work:
        for job in jobs:
            await work.jobs.fail(job.id, owner="p1", error="broken")
    must(await due("index") is None, "next_due() is None when there is no job that is open")


async def check_job_claimers_at_once(rows: Rows) -> None:
    """Claimers at the same time share the jobs."""
    await _add(rows, *(_job(str(n)) for n in range(9)))
    claims = await asyncio.gather(*(_claim(rows, owner=f"p{n}", limit=2, storage=rows.handle(n)) for n in range(5)))
    taken = [job.id for found in claims for job in found]
    must_equal(len(taken), len(set(taken)), "no job is claimed by two")
    must_equal(len(taken) + len(await _claim(rows)), 9, "every job is claimed by one")


def _job(key: str, *, kind: str = "index", due: float = 0) -> Job:
    return Job(new_id(), kind, key, {"id": key, "nested": [{"a": None}]}, at(due))


def _running(job: Job, *, owner: str = "p1", until: float = 30) -> Job:
    return replace(job, state=JobState.RUNNING, attempts=1, owner=owner, lease_until=at(until))


async def _add(rows: Rows, *jobs: Job, storage: Storage | None = None) -> list[bool]:
    async with rows.writing(storage) as work:
        return [await work.jobs.add(job) for job in jobs]


async def _claim(
    rows: Rows,
    *,
    now: float = 0,
    owner: str = "p1",
    limit: int = 9,
    kinds: Sequence[str] = ("index",),
    storage: Storage | None = None,
) -> list[Job]:
    async with rows.writing(storage) as work:
        return list(await work.jobs.claim(kinds, owner=owner, now=at(now), until=at(now + 30), limit=limit))


async def _must_claim(rows: Rows, sentence: str, **options: Any) -> list[Job]:
    claimed = await _claim(rows, **options)
    must_equal(len(claimed), 1, sentence)
    return claimed
