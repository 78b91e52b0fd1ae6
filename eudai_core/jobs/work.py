"""Doing one job that was claimed, and recording how it went."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from eudai_core.contracts import Clock, JobHandler, JobPostponed, Jobs, Storage
from eudai_core.errors import StorageUnavailable
from eudai_core.jobs.retries import TRIES, back_off, reason_of
from eudai_core.model import Job
from eudai_core.plugins.roles import JOB_HANDLERS, STORAGE, Role

__all__ = ["Handlers", "JobHost", "Work"]

T = TypeVar("T")
_log = logging.getLogger(__name__)


class JobHost(Protocol):
    """What the runner needs of the plugin host (eudai_core.plugins.PluginHost)."""

    def one(self, role: Role[T]) -> T:
        """Return the chosen object."""
        ...

    def all(self, role: Role[T]) -> Mapping[str, T]:
        """Return the objects that are ready, by name."""
        ...

    def owner(self, role: Role[Any], name: str) -> str:
        """Return the plugin that registered an object."""
        ...

    async def guard(
        self,
        owner: str,
        what: str,
        call: Callable[[], Awaitable[T]],
        *,
        timeout: float | None,  # noqa: ASYNC109 -- the host's signature
    ) -> T:
        """Await a plugin's call, counting its faults."""
        ...


class Handlers:
    """Who does which kind of job: the core's handlers, then those of plugins, which the host guards."""

    def __init__(self, host: JobHost) -> None:
        """Begin without handlers of the core."""
        self._host = host
        self._core: dict[str, JobHandler] = {}

    def add(self, kind: str, handler: JobHandler) -> None:
        """Have the jobs of a kind done by the core, whatever a plugin registers."""
        self._core[kind] = handler

    def kinds(self) -> list[str]:
        """Return every kind that somebody does here, now."""
        return [*self._core, *(kind for kind in self._host.all(JOB_HANDLERS) if kind not in self._core)]

    async def run(self, job: Job) -> None:
        """Call the handler's ``run``; raises what it raises."""
        await self._call(job, lambda handler: handler.run(job))

    async def give_up(self, job: Job, error: str) -> None:
        """Call the handler's ``give_up``; raises what it raises."""
        await self._call(job, lambda handler: handler.give_up(job, error))

    async def _call(self, job: Job, call: Callable[[JobHandler], Awaitable[None]]) -> None:
        if job.kind in self._core:
            await call(self._core[job.kind])
            return
        handler = self._host.all(JOB_HANDLERS)[job.kind]
        owner = self._host.owner(JOB_HANDLERS, job.kind)
        await self._host.guard(owner, f"job {job.kind}", lambda: call(handler), timeout=None)


class Work:
    """Does jobs and records their outcomes."""

    def __init__(self, host: JobHost, handlers: Handlers, clock: Clock) -> None:
        """Record in the host's storage."""
        self._host = host
        self._handlers = handlers
        self._clock = clock

    async def do(self, job: Job) -> bool:
        """Do a claimed job; return False when the outcome could not be recorded, so that the job stays claimed."""
        try:
            if job.attempts > TRIES:  # every try so far ended with its process
                return await self._give_up(job, f"The server stopped in the middle of it, {TRIES} times.")
            return await self._try(job)
        except StorageUnavailable as error:
            _log.warning("job %s %s: its outcome could not be stored: %s", job.kind, job.key, error.detail)
            return False

    async def put_down(self, job: Job) -> bool:
        """Let others have the job; return False when that could not be recorded."""
        try:
            await self._record(lambda jobs: jobs.release(job.id, owner=_owner(job)))
        except StorageUnavailable:
            return False  # its lease runs out by itself
        return True

    async def _try(self, job: Job) -> bool:
        try:
            await self._handlers.run(job)
        except JobPostponed as later:
            return await self._postponed(job, later)
        except Exception as error:  # handlers raise anything; here it becomes the job's outcome
            return await self._failed(job, error)
        return await self._record(lambda jobs: jobs.finish(job.id, owner=_owner(job)))

    async def _postponed(self, job: Job, later: JobPostponed) -> bool:
        _log.debug("job %s %s: postponed: %s", job.kind, job.key, later.detail)
        due = self._clock.now() + timedelta(seconds=later.seconds)
        return await self._record(lambda jobs: jobs.postpone(job.id, owner=_owner(job), run_after=due))

    async def _failed(self, job: Job, error: Exception) -> bool:
        reason = reason_of(error)
        _log.warning(
            "job %s %s: try %d of %d failed: %s", job.kind, job.key, job.attempts, TRIES, reason, exc_info=error
        )
        if job.attempts >= TRIES:
            return await self._give_up(job, reason)
        again = self._clock.now() + back_off(job.attempts, error)
        return await self._record(lambda jobs: jobs.retry(job.id, owner=_owner(job), error=reason, run_after=again))

    async def _give_up(self, job: Job, reason: str) -> bool:
        try:
            await self._handlers.give_up(job, reason)
        except StorageUnavailable:
            raise
        except Exception:  # handlers raise anything; the job has to end all the same
            _log.exception("job %s %s: giving up failed too", job.kind, job.key)
        return await self._record(lambda jobs: jobs.fail(job.id, owner=_owner(job), error=reason))

    async def _record(self, change: Callable[[Jobs], Awaitable[None]]) -> bool:
        storage: Storage = self._host.one(STORAGE)
        async with storage.unit_of_work() as unit:
            await change(unit.jobs)
            await unit.commit()
        return True


def _owner(job: Job) -> str:
    """Return the process that claimed a job: this one."""
    return job.owner or ""
