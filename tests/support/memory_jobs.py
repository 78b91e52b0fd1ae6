"""Jobs kept in memory, with faults on demand, and a host that has nothing else.

Only what the job runner uses of a storage is here; how storages of the product behave is tested with the storages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Self, TypeVar, cast
from uuid import UUID

from eudai_core.clock import SystemClock
from eudai_core.contracts import JobHandler
from eudai_core.errors import StorageUnavailable
from eudai_core.model import Job, JobState
from eudai_core.plugins.calls import CallGuard, is_answer
from eudai_core.plugins.faults import FaultLedger
from eudai_core.plugins.roles import JOB_HANDLERS, STORAGE, Role

__all__ = ["JobHostDouble", "MemoryJobs"]

T = TypeVar("T")
OPEN = (JobState.WAITING, JobState.RUNNING)


class MemoryJobs:
    """A storage of jobs with faults to switch on.

    ``down`` and ``fault`` make every transaction fail; ``lose_next_commit`` stores one and then fails.
    """

    def __init__(self) -> None:
        self.rows: dict[UUID, Job] = {}
        self.down = False
        self.fault: Exception | None = None
        self.lose_next_commit = False
        self.transactions = 0
        self.failures = 0
        self.failed = asyncio.Event()

    def unit_of_work(self, *, readonly: bool = False, snapshot: bool = True) -> _Unit:
        return _Unit(self)

    def by_key(self, key: str) -> Job:
        return next(job for job in self.rows.values() if job.key == key)

    def fail(self) -> None:
        self.failures += 1
        self.failed.set()
        raise self.fault or StorageUnavailable("The database does not answer.")


class _Unit:
    """A transaction, serial because nothing is awaited between its first read and its commit."""

    def __init__(self, storage: MemoryJobs) -> None:
        self._storage = storage
        self._rows = dict(storage.rows)

    @property
    def jobs(self) -> _Unit:
        return self

    async def __aenter__(self) -> Self:
        self._storage.transactions += 1
        if self._storage.down or self._storage.fault:
            self._storage.fail()
        self._rows = dict(self._storage.rows)
        return self

    async def __aexit__(self, *exception: object) -> None:
        return None

    async def commit(self) -> None:
        if self._storage.down or self._storage.fault:
            self._storage.fail()
        self._storage.rows = self._rows
        if self._storage.lose_next_commit:
            self._storage.lose_next_commit = False
            self._storage.fail()

    async def add(self, job: Job) -> bool:
        if any((other.kind, other.key) == (job.kind, job.key) and other.state in OPEN for other in self._rows.values()):
            return False
        self._rows[job.id] = job
        return True

    async def claim(
        self, kinds: Sequence[str], *, owner: str, now: datetime, until: datetime, limit: int
    ) -> Sequence[Job]:
        due = [
            job
            for job in self._rows.values()
            if job.kind in kinds
            and (
                (job.state is JobState.WAITING and job.run_after <= now)
                or (job.state is JobState.RUNNING and job.lease_until is not None and job.lease_until <= now)
            )
        ]
        due.sort(key=lambda job: (job.run_after, job.id))
        claimed = [
            replace(job, state=JobState.RUNNING, attempts=job.attempts + 1, owner=owner, lease_until=until)
            for job in due[:limit]
        ]
        self._rows |= {job.id: job for job in claimed}
        return claimed

    async def heartbeat(self, *, owner: str, until: datetime) -> Sequence[UUID]:
        mine = [job for job in self._rows.values() if job.owner == owner and job.state is JobState.RUNNING]
        self._rows |= {job.id: replace(job, lease_until=until) for job in mine}
        return [job.id for job in mine]

    async def release(self, job_id: UUID, *, owner: str) -> None:
        if (job := self._held(job_id, owner)) is not None:
            self._rows[job_id] = replace(_put_down(job), attempts=job.attempts - 1)

    async def postpone(self, job_id: UUID, *, owner: str, run_after: datetime) -> None:
        if (job := self._held(job_id, owner)) is not None:
            self._rows[job_id] = replace(_put_down(job), attempts=job.attempts - 1, run_after=run_after)

    async def finish(self, job_id: UUID, *, owner: str) -> None:
        if self._held(job_id, owner) is not None:
            del self._rows[job_id]

    async def retry(self, job_id: UUID, *, owner: str, error: str, run_after: datetime) -> None:
        if (job := self._held(job_id, owner)) is not None:
            self._rows[job_id] = replace(_put_down(job), error=error, run_after=run_after)

    async def fail(self, job_id: UUID, *, owner: str, error: str) -> None:
        if (job := self._held(job_id, owner)) is not None:
            self._rows[job_id] = replace(_put_down(job), state=JobState.FAILED, error=error)

    async def running(self, kind: str, *, now: datetime) -> bool:
        return any(
            job.kind == kind and job.state is JobState.RUNNING and job.lease_until is not None and job.lease_until > now
            for job in self._rows.values()
        )

    async def next_due(self, kinds: Sequence[str]) -> datetime | None:
        due = (
            job.run_after if job.state is JobState.WAITING else job.lease_until
            for job in self._rows.values()
            if job.kind in kinds and job.state in OPEN
        )
        return min((at for at in due if at is not None), default=None)

    def _held(self, job_id: UUID, owner: str) -> Job | None:
        job = self._rows.get(job_id)
        return job if job is not None and job.owner == owner and job.state is JobState.RUNNING else None


def _put_down(job: Job) -> Job:
    return replace(job, state=JobState.WAITING, owner=None, lease_until=None)


class JobHostDouble:
    """A host with a storage and the job handlers of one plugin, ``a-plugin``, guarded as the real host does."""

    def __init__(self, storage: object, plugin_handlers: Mapping[str, JobHandler] | None = None) -> None:
        self._storage = storage
        self._handlers = plugin_handlers or {}
        self.ledger = FaultLedger(SystemClock())
        self._guard = CallGuard(self.ledger)

    def one(self, role: Role[T]) -> T:
        if role is not cast("Any", STORAGE):
            raise AssertionError(f"the job runner asked for {role.name}")
        return cast("T", self._storage)

    def all(self, role: Role[T]) -> Mapping[str, T]:
        return cast("Mapping[str, T]", self._handlers) if role is cast("Any", JOB_HANDLERS) else {}

    def owner(self, role: Role[Any], name: str) -> str:
        return "a-plugin"

    async def guard(
        self,
        owner: str,
        what: str,
        call: Callable[[], Awaitable[T]],
        *,
        timeout: float | None,  # noqa: ASYNC109
    ) -> T:
        return await self._guard.call(owner, what, call, limit=timeout, passes=is_answer)
