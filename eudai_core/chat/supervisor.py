"""The owner of all runs of this process: it claims them, keeps their leases, stops them, and lets them finish."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from eudai_core.chat.channels import Channels
from eudai_core.chat.log import EventLog
from eudai_core.chat.recovery import Recovery
from eudai_core.chat.turn import Turn, Turns
from eudai_core.contracts import Clock, Storage, UnitOfWork
from eudai_core.errors import EudaiError, NotFound
from eudai_core.model import MessageStatus, Run
from eudai_core.services.models import Models

__all__ = ["Supervisor"]

CLAIM_LIMIT: Final = 16
LOOK_S: Final = 1.0
"""How often the queue is looked at unasked: another process may have queued a run, or a place may be free."""
_log = logging.getLogger(__name__)


class Supervisor:
    """Runs belong to it, never to a connection. Start it once; closing it interrupts what still runs."""

    def __init__(
        self,
        storage: Storage,
        channels: Channels,
        turns: Turns,
        log: EventLog,
        recovery: Recovery,
        models: Models,
        clock: Clock,
        instance: str,
        *,
        lease_s: float,
    ) -> None:
        self._storage = storage
        self._channels = channels
        self._turns = turns
        self._log = log
        self._recovery = recovery
        self._models = models
        self._clock = clock
        self._instance: Final = instance
        self._lease: Final = timedelta(seconds=lease_s)
        self._running: dict[UUID, tuple[Turn, asyncio.Task[None]]] = {}
        self._lost: list[Run] = []
        self._loops: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False

    async def start(self) -> None:
        """Begin: end what a dead process left, then claim."""
        await self._safely("recovery", self._recovery.sweep(at_start=True))
        period = self._lease.total_seconds() / 3
        self._loops = [
            asyncio.create_task(self._claiming(), name="eudai-claim"),
            asyncio.create_task(self._log.run(), name="eudai-event-log"),
            asyncio.create_task(self._every(period, "heartbeat", self._heartbeat), name="eudai-heartbeat"),
            asyncio.create_task(self._every(period, "recovery", self._reap), name="eudai-recovery"),
        ]

    def wake(self) -> None:
        """A run was queued: look at once."""
        self._wake.set()

    @property
    def running(self) -> int:
        """How many answers this process is making."""
        return len(self._running)

    def stop(self, run_id: UUID) -> bool:
        """Stop a run of this process, keeping its text; False when it is not one."""
        return self._cancel(run_id, MessageStatus.STOPPED)

    async def drain(self, grace: float) -> None:
        """Claim nothing more, wait up to ``grace`` seconds for the running answers, then interrupt them."""
        self._draining = True
        self._wake.set()
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("%d answers did not end in time and are interrupted", len(self._running))
        for run_id in list(self._running):
            self._cancel(run_id, MessageStatus.INTERRUPTED)
        await self._idle.wait()

    async def close(self) -> None:
        """Interrupt what runs, write what the log lacks, and end."""
        await self.drain(0)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._log.flush(partials=True)

    def _cancel(self, run_id: UUID, why: MessageStatus) -> bool:
        found = self._running.get(run_id)
        if found is None:
            return False
        turn, task = found
        if not turn.ending:
            turn.stopping = why
            turn.ending = True
            if turn.ready:
                task.cancel()
        return True

    async def _claiming(self) -> None:
        while not self._draining:
            self._wake.clear()
            await self._safely("claim", self._claim())
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _claim(self) -> None:
        async with self._storage.unit_of_work(readonly=True) as unit:
            if not await unit.runs.queued():
                return
        capacity = {(model.backend, model.host): model.capacity for model in await self._models.available()}
        now = self._clock.now()
        async with self._storage.unit_of_work() as unit:
            runs = await unit.runs.claim(
                owner=self._instance, now=now, until=now + self._lease, capacity=capacity, limit=CLAIM_LIMIT
            )
            await unit.commit()
        for run in runs:
            self._start(Turn(run))

    def _start(self, turn: Turn) -> None:
        task = asyncio.create_task(self._make(turn), name=f"eudai-run-{turn.run.id}")
        self._running[turn.run.id] = (turn, task)
        self._idle.clear()

    async def _make(self, turn: Turn) -> None:
        try:
            if not await self._turns.run(turn):
                self._lost.append(turn.run)
        except asyncio.CancelledError:
            self._lost.append(turn.run)  # stopped before its first step: recovery ends it from the log
        except Exception:  # whatever it is, the run must not stay "running" for ever: recovery ends it
            _log.exception("run %s broke down", turn.run.id)
            self._lost.append(turn.run)
        finally:
            del self._running[turn.run.id]
            if not self._running:
                self._idle.set()
            self._wake.set()

    async def _heartbeat(self) -> None:
        if not self._running:
            return
        until = self._clock.now() + self._lease
        async with self._storage.unit_of_work() as unit:
            stops = await unit.runs.heartbeat(list(self._running), owner=self._instance, until=until)
            for turn, _ in list(self._running.values()):
                await self._renew(turn, unit)
            await unit.commit()
        for run_id in stops:
            self.stop(run_id)

    async def _renew(self, turn: Turn, unit: UnitOfWork) -> None:
        channel = self._channels.get(turn.run.conversation_id)
        if channel is None or channel.closed:
            return
        try:
            await self._channels.lease(channel, unit)
        except NotFound:  # another process deleted the conversation
            channel.close()
            self.stop(turn.run.id)

    async def _reap(self) -> None:
        lost, self._lost = self._lost, []
        try:
            await self._recovery.end(lost)
        except BaseException:
            self._lost += lost
            raise
        await self._recovery.sweep(self._running)

    async def _every(self, seconds: float, name: str, step: Any) -> None:
        while True:
            await self._clock.sleep(seconds)
            await self._safely(name, step())

    async def _safely(self, name: str, step: Coroutine[Any, Any, object]) -> None:
        try:
            await step
        except EudaiError as error:
            _log.warning("%s: %s: %s; trying again", name, error.title, error.detail)
        except Exception:  # the loops of the supervisor outlive every fault
            _log.exception("%s failed; trying again", name)
