"""The job runner: claims jobs that are due, has them done, and keeps its claims while they are.

Invariants: a job is in ``_running`` from before its claim is acted on until its outcome is stored; a claim that storage
knows of and ``_running`` does not (its outcome could not be stored, or the answer to the claim was lost) is given back
at the next renewal; a job whose lease somebody else holds by now is cancelled and leaves no outcome.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from eudai_core import lines
from eudai_core.contracts import Clock, JobHandler, Storage
from eudai_core.errors import EudaiError, Unavailable
from eudai_core.ids import new_id
from eudai_core.jobs.work import Handlers, JobHost, Work
from eudai_core.model import Job
from eudai_core.plugins.roles import STORAGE

__all__ = ["CONCURRENCY", "LEASE_SECONDS", "JobRunner"]

CONCURRENCY: Final = 4
"""How many jobs one process does at once."""
LEASE_SECONDS: Final = 30.0
"""After how long without renewal others may take a job over."""

_RENEW_SECONDS: Final = LEASE_SECONDS / 3
_POLL_SECONDS: Final = 2.0
"""How late work that another process left, or a lease that ran out, is noticed."""
_SHORTEST_REST: Final = 0.05
_LONGEST_PAUSE: Final = 15.0
_CLOSE_SECONDS: Final = 5.0
_log = logging.getLogger(__name__)


class JobRunner:
    """Runs background jobs in this process; see eudai_core.contracts.JobQueue. One for each Application."""

    def __init__(self, host: JobHost, clock: Clock, instance: str) -> None:
        """Work for process ``instance``; the host's objects are used from :meth:`start` on."""
        self._host = host
        self._clock = clock
        self._instance = instance
        self._handlers = Handlers(host)
        self._work = Work(host, self._handlers, clock)
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._lost: set[UUID] = set()
        self._wake = asyncio.Event()
        self._claims = asyncio.Lock()
        self._news = False
        self._unsure = False
        self._loops: list[asyncio.Task[None]] = []
        self._looks: list[asyncio.Future[bool]] = []

    def add(self, kind: str, handler: JobHandler) -> None:
        """Have the jobs of ``kind`` done by a handler of the core."""
        self._handlers.add(kind, handler)

    async def enqueue(self, kind: str, key: str, payload: Mapping[str, Any], *, delay: float = 0.0) -> None:
        """Have the job done once, ``delay`` seconds from now; see eudai_core.contracts.JobQueue.

        Raises:
            StorageUnavailable: it could not be stored.
        """
        job = Job(new_id(), kind, key, payload, self._clock.now() + timedelta(seconds=delay))
        async with self._storage.unit_of_work() as unit:
            await unit.jobs.add(job)
            await unit.commit()
        self.wake()

    def wake(self) -> None:
        """Look for work now: to be called after the commit of a unit of work that added jobs."""
        self._news = True
        self._wake.set()

    async def start(self) -> None:
        """Begin to work."""
        self._loops = [
            asyncio.create_task(self._claim_forever(), name="eudai-jobs"),
            asyncio.create_task(self._renew_forever(), name="eudai-job-leases"),
        ]

    async def aclose(self) -> None:
        """Stop within some seconds; jobs that run are cancelled and put down for another claim."""
        loops, self._loops = self._loops, []
        await _cancel(loops)
        for look in self._looks:
            look.cancel()
        await _cancel(self._running.values())
        if self._unsure:
            with suppress(Unavailable, TimeoutError):  # then the leases run out by themselves
                await asyncio.wait_for(self._renew(), _CLOSE_SECONDS)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[JobRunner]:
        """Work as long as the block runs."""
        await self.start()
        try:
            yield self
        finally:
            await self.aclose()

    async def idle(self) -> None:
        """Return once nothing is due and nothing runs here: for tests.

        Raises:
            RuntimeError: the runner was not started.
        """
        if not self._loops:
            raise RuntimeError("the job runner is not running: start it before waiting for it")
        while not await self._next_look():
            if self._running:
                await asyncio.wait(set(self._running.values()), return_when=asyncio.FIRST_COMPLETED)

    @property
    def _storage(self) -> Storage:
        return self._host.one(STORAGE)

    async def _next_look(self) -> bool:
        look: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._looks.append(look)
        self._wake.set()
        return await look

    # Claiming

    async def _claim_forever(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            self._news = False
            looks, self._looks = self._looks, []
            try:
                rest = await self._look()
            except Exception as error:  # whatever is wrong with storage, the runner outlives it
                failures += 1
                self._looks += looks
                _report("looking for jobs", error, first=failures == 1)
                await self._clock.sleep(min(_LONGEST_PAUSE, 0.5 * 2 ** min(failures, 10)))
                continue
            failures = 0
            self._answer(looks, idle=rest > 0 and not self._running and not self._news)
            await self._rest(rest)

    async def _look(self) -> float:
        """Claim what there is room for; return the seconds after which to look again, 0 when something is due."""
        kinds = self._handlers.kinds()
        room = CONCURRENCY - len(self._running)
        if not kinds or room <= 0:
            return _POLL_SECONDS
        # Looking is a read; only where there is something to take, the one writer of SQLite is asked for.
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            due = await unit.jobs.next_due(kinds)
        if due is None:
            return _POLL_SECONDS
        wait = (due - self._clock.now()).total_seconds()
        if wait <= 0:
            await self._claim(kinds, room)
        return min(max(wait, 0.0), _POLL_SECONDS)

    async def _claim(self, kinds: list[str], room: int) -> None:
        now = self._clock.now()
        async with self._claims:
            try:
                async with self._storage.unit_of_work() as unit:
                    jobs = await unit.jobs.claim(
                        kinds, owner=self._instance, now=now, until=_lease_from(now), limit=room
                    )
                    await unit.commit()
            except BaseException:
                self._unsure = True  # it may have been committed all the same
                raise
            for job in jobs:
                self._running[job.id] = asyncio.create_task(self._do(job), name=f"eudai-job-{job.kind}")

    def _answer(self, looks: list[asyncio.Future[bool]], *, idle: bool) -> None:
        for look in looks:
            if not look.done():
                look.set_result(idle)

    async def _rest(self, seconds: float) -> None:
        """Sleep until it is time to look again, or somebody wakes us."""
        sleep = self._clock.sleep(max(seconds, _SHORTEST_REST))
        waiting = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(sleep)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel(waiting)

    # Working

    async def _do(self, job: Job) -> None:
        lines.begin(job=job.id)
        recorded = False
        try:
            recorded = await self._work.do(job)
        except asyncio.CancelledError:
            recorded = job.id in self._lost or await self._work.put_down(job)
            raise
        except Exception:  # a fault of storage that has no name; the job must not vanish with it
            _log.exception("job %s %s: its outcome is unknown", job.kind, job.key)
        finally:
            self._unsure = self._unsure or not recorded
            self._lost.discard(job.id)
            del self._running[job.id]
            self.wake()

    # Leases

    async def _renew_forever(self) -> None:
        first = True
        while True:
            await self._clock.sleep(_RENEW_SECONDS)
            if not (self._running or self._unsure):
                continue
            try:
                await self._renew()
                first = True
            except Exception as error:  # as above: the runner outlives storage
                _report("renewing the leases of jobs", error, first=first)
                first = False

    async def _renew(self) -> None:
        async with self._claims:
            ours = set(self._running)
            self._unsure = False
            try:
                held = set(await self._extend())
                for forgotten in held - ours:
                    await self._give_back(forgotten)
            except BaseException:
                self._unsure = True
                raise
        for lost in ours - held:
            if (task := self._running.get(lost)) is not None:
                _log.warning("a job was taken over by another process; this one lets go of it")
                self._lost.add(lost)
                task.cancel()

    async def _extend(self) -> list[UUID]:
        async with self._storage.unit_of_work() as unit:
            held = await unit.jobs.heartbeat(owner=self._instance, until=_lease_from(self._clock.now()))
            await unit.commit()
        return list(held)

    async def _give_back(self, job_id: UUID) -> None:
        async with self._storage.unit_of_work() as unit:
            await unit.jobs.release(job_id, owner=self._instance)
            await unit.commit()
        self.wake()


def _lease_from(now: datetime) -> datetime:
    return now + timedelta(seconds=LEASE_SECONDS)


def _report(what: str, error: Exception, *, first: bool) -> None:
    """Log an outage once, not at every try; an error that is none of ours with its traceback."""
    reason = error.detail if isinstance(error, EudaiError) else type(error).__name__
    level = logging.WARNING if first else logging.DEBUG
    _log.log(level, "%s failed, and is tried again: %s", what, reason, exc_info=not isinstance(error, EudaiError))


async def _cancel(tasks: Iterable[asyncio.Future[Any]]) -> None:
    cancelled = list(tasks)
    for task in cancelled:
        task.cancel()
    if cancelled:
        await asyncio.wait(cancelled, timeout=_CLOSE_SECONDS)
