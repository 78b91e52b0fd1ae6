"""Background jobs, how the plugins are doing, and what requests under idempotency keys were answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from eudai_core.model import Job, JobState, PluginState, StoredAnswer
from eudai_core.testing._memory.transaction import Repository
from eudai_core.testing._memory.values import insert, kept, required

__all__ = ["MemoryAnswers", "MemoryJobs", "MemoryPluginStates"]


class MemoryJobs(Repository):
    """See eudai_core.contracts.Jobs."""

    __slots__ = ()

    async def add(self, job: Job) -> bool:
        """Add a job; False when one of the same kind and key is waiting or running."""
        jobs = (await self._tx.writing()).jobs
        if any(
            (row.kind, row.key) == (job.kind, job.key) and row.state is not JobState.FAILED for row in jobs.values()
        ):
            return False
        insert(jobs, job.id, job, "job")
        return True

    async def claim(
        self, kinds: Sequence[str], *, owner: str, now: datetime, until: datetime, limit: int
    ) -> Sequence[Job]:
        """Take jobs that are due, or whose lease ran out, oldest first."""
        jobs = (await self._tx.writing()).jobs
        due = sorted(
            (job for job in jobs.values() if job.kind in kinds and _is_due(job, now)),
            key=lambda job: (job.run_after, job.id),
        )[:limit]
        for job in due:
            changes: dict[str, Any] = {"attempts": job.attempts + 1, "owner": owner, "lease_until": until}
            jobs[job.id] = replace(job, state=JobState.RUNNING, **changes)
        return [kept(jobs[job.id]) for job in due]

    async def heartbeat(self, *, owner: str, until: datetime) -> Sequence[UUID]:
        """Renew the leases of all running jobs of an owner, and return the ids of these jobs."""
        jobs = (await self._tx.writing()).jobs
        held = [job for job in jobs.values() if job.owner == owner and job.state is JobState.RUNNING]
        jobs.update((job.id, replace(job, lease_until=until)) for job in held)
        return [job.id for job in held]

    async def release(self, job_id: UUID, *, owner: str) -> None:
        """Put a running job down unfinished; the claim does not count as a try."""
        await self._put_down(job_id, owner, tries=-1)

    async def postpone(self, job_id: UUID, *, owner: str, run_after: datetime) -> None:
        """Put a running job down until a time; the claim does not count as a try."""
        await self._put_down(job_id, owner, tries=-1, run_after=run_after)

    async def finish(self, job_id: UUID, *, owner: str) -> None:
        """A job is done, and forgotten."""
        jobs = (await self._tx.writing()).jobs
        if job_id in jobs and jobs[job_id].owner == owner:
            del jobs[job_id]

    async def retry(self, job_id: UUID, *, owner: str, error: str, run_after: datetime) -> None:
        """A job failed and is to be tried again."""
        await self._put_down(job_id, owner, error=error, run_after=run_after)

    async def fail(self, job_id: UUID, *, owner: str, error: str) -> None:
        """A job failed for good."""
        await self._put_down(job_id, owner, error=error, state=JobState.FAILED)

    async def running(self, kind: str, *, now: datetime) -> bool:
        """Tell whether somebody is doing a job of a kind."""
        jobs = (await self._tx.reading()).jobs.values()
        return any(job.kind == kind and job.lease_until is not None and job.lease_until > now for job in jobs)

    async def next_due(self, kinds: Sequence[str]) -> datetime | None:
        """Return when the next job may be claimed: it is due, or the lease on it runs out."""
        jobs = (await self._tx.reading()).jobs.values()
        open_jobs = (job for job in jobs if job.kind in kinds and job.state is not JobState.FAILED)
        return min((job.lease_until or job.run_after for job in open_jobs), default=None)

    async def _put_down(self, job_id: UUID, owner: str, *, tries: int = 0, **changes: Any) -> None:
        jobs = (await self._tx.writing()).jobs
        job = jobs.get(job_id)
        if job is not None and job.owner == owner:
            free: dict[str, Any] = {"state": JobState.WAITING, "owner": None, "lease_until": None}
            jobs[job_id] = kept(replace(job, attempts=job.attempts + tries, **(free | changes)))


class MemoryPluginStates(Repository):
    """See eudai_core.contracts.PluginStates."""

    __slots__ = ()

    async def save(self, instance: str, states: Sequence[PluginState], *, at: datetime) -> None:
        """Replace the states that one server process reported."""
        (await self._tx.writing()).plugin_states[instance] = (at, kept(states))

    async def latest(self) -> Sequence[PluginState]:
        """Return the states that the process that reported last saw."""
        reports = (await self._tx.reading()).plugin_states.values()
        return kept(max(reports, key=lambda report: report[0], default=(None, ()))[1])


class MemoryAnswers(Repository):
    """See eudai_core.contracts.Answers."""

    __slots__ = ()

    async def begin(
        self, user_id: UUID, key: str, answer: StoredAnswer, *, stale_before: datetime
    ) -> StoredAnswer | None:
        """Take a key for a request, and return None; or return what is kept under it."""
        state = await self._tx.writing()
        required(state.users, user_id, "user")
        stored = state.answers.get((user_id, kept(key)))
        if stored is not None and (stored.status is not None or stored.begun_at >= stale_before):
            return stored
        state.answers[user_id, key] = kept(answer)
        return None

    async def finish(self, user_id: UUID, key: str, answer: StoredAnswer) -> None:
        """Keep the answer of a request that was begun; an answer that is there already stays."""
        rows = (await self._tx.writing()).answers
        stored = rows.get((user_id, kept(key)))
        if stored is not None and stored.status is None:
            rows[user_id, key] = kept(replace(answer, begun_at=stored.begun_at))

    async def drop(self, user_id: UUID, key: str) -> None:
        """Give a key back; an answer that is there already stays."""
        rows = (await self._tx.writing()).answers
        stored = rows.get((user_id, kept(key)))
        if stored is not None and stored.status is None:
            del rows[user_id, key]

    async def forget(self, *, begun_before: datetime) -> int:
        """Forget the answers to requests that began before a time; return how many."""
        rows = (await self._tx.writing()).answers
        old = [key for key, answer in rows.items() if answer.begun_at < begun_before]
        for key in old:
            del rows[key]
        return len(old)


def _is_due(job: Job, now: datetime) -> bool:
    if job.state is JobState.RUNNING:
        return job.lease_until is not None and job.lease_until <= now
    return job.state is JobState.WAITING and job.run_after <= now
