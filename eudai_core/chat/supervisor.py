"""The owner of all runs of this process: it starts what was claimed, stops it, and lets it finish."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final
from uuid import UUID

from eudai_core import lines
from eudai_core.chat.claims import Claims
from eudai_core.chat.endings import Endings
from eudai_core.chat.heartbeat import Heartbeat
from eudai_core.chat.log import BATCH_S, EventLog
from eudai_core.chat.loops import Loops
from eudai_core.chat.recovery import Recovery
from eudai_core.chat.trimming import TRIM_S, EventTrimmer
from eudai_core.chat.turn import Turn, Turns
from eudai_core.contracts import Clock
from eudai_core.errors import EudaiError, NotFound
from eudai_core.model import MessageStatus

__all__ = ["Supervisor"]

LOOK_S: Final = 1.0
"""How often the queue is looked at unasked: another process may have queued a run, or a place may be free."""
END_S: Final = 5.0
"""How long the ends of answers may take when the server stops: a claim under way, and then the last commits."""
_log = logging.getLogger(__name__)


class Supervisor:
    """Runs belong to it, never to a connection. Start it once; closing it interrupts what still runs."""

    def __init__(
        self,
        claims: Claims,
        turns: Turns,
        endings: Endings,
        log: EventLog,
        heartbeat: Heartbeat,
        recovery: Recovery,
        trimmer: EventTrimmer,
        clock: Clock,
        *,
        lease_s: float,
    ) -> None:
        self._claims = claims
        self._turns = turns
        self._endings = endings
        self._log = log
        self._heartbeat = heartbeat
        self._recovery = recovery
        self._trimmer = trimmer
        self._period: Final = lease_s / 3
        self._loops = Loops(clock)
        self._running: dict[UUID, tuple[Turn, asyncio.Task[None]]] = {}
        self._claiming: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._asked = False
        self._draining = False

    async def start(self) -> None:
        """Begin: end what a dead process left, then claim."""
        await self._loops.safely("recovery", lambda: self._recovery.sweep(at_start=True))
        self._claiming = asyncio.create_task(self._claim_on(), name="eudai claims")
        self._loops.every(BATCH_S, "event log", self._log.step)
        self._loops.every(BATCH_S, "numbers", self._refill)
        self._loops.every(self._period, "heartbeat", self.beat)
        self._loops.every(self._period, "recovery", self.recover)
        self._loops.every(TRIM_S, "trimming of the event log", self._trimmer.step)

    def wake(self) -> None:
        """A run was queued: look at once."""
        self._asked = True
        self._wake.set()

    @property
    def running(self) -> int:
        """How many answers this process is making."""
        return len(self._running)

    def stop(self, run_id: UUID) -> bool:
        """Stop a run of this process with its text kept; False when it has none of this id."""
        found = self._running.get(run_id)
        if found is not None:
            found[0].stop(MessageStatus.STOPPED)
        return found is not None

    async def beat(self) -> None:
        """Renew the leases of what runs."""
        await self._heartbeat.beat([turn for turn, _ in self._running.values()])

    async def _refill(self) -> None:
        """Take more numbers for answers of very many pieces, before they run out."""
        await self._heartbeat.beat(self._heartbeat.low(turn for turn, _ in self._running.values()))

    async def recover(self) -> None:
        """End what nobody makes any more."""
        await self._recovery.sweep(self._running)

    async def drain(self, grace: float) -> None:
        """Claim nothing more, wait up to ``grace`` seconds for the running answers, then interrupt them.

        What was claimed and not begun goes back into the queue. Ends some seconds after ``grace`` at the latest, also
        when the storage is down or a backend does not let itself be stopped.
        """
        self._draining = True
        self._wake.set()
        await self._claimed()
        for turn, _ in self._running.values():
            turn.recalled = True
        if await self._ended(grace):
            return
        _log.warning("%d answers did not end in time and are interrupted", len(self._running))
        self._endings.hurry()
        for turn, _ in list(self._running.values()):
            turn.stop(MessageStatus.INTERRUPTED)
        if await self._ended(END_S):
            return
        for run_id, (_, task) in list(self._running.items()):
            _log.error("run %s cannot be ended in time; whoever finds its lease run out ends it", run_id)
            task.cancel()
        await self._ended(1.0)

    async def close(self) -> None:
        """Interrupt what runs, write what the log lacks, and end."""
        await self.drain(0)
        await self._loops.aclose()
        with suppress(EudaiError):  # told already; what cannot be written now is lost, up to the last batch
            await self._log.flush(partials=True)

    async def _claimed(self) -> None:
        """Wait for a claim under way."""
        if self._claiming is None:
            return
        await asyncio.wait({self._claiming}, timeout=END_S)
        self._claiming.cancel()

    async def _ended(self, seconds: float) -> bool:
        """Wait for what runs; return whether nothing runs any more."""
        if self._running:
            await asyncio.wait({task for _, task in self._running.values()}, timeout=seconds)
        return not self._running

    async def _claim_on(self) -> None:
        while not self._draining:
            self._wake.clear()
            await self._loops.safely("claiming", self._claim)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()

    async def _claim(self) -> None:
        asked, self._asked = self._asked, False
        runs = await self._claims.take(look_first=not asked)
        if self._draining:
            await self._claims.put_back(runs)
            return
        for run in runs:
            turn = Turn(run)
            if run.stop_requested:  # while it was queued: it ends before it begins
                turn.stop(MessageStatus.STOPPED)
            self._running[run.id] = turn, asyncio.create_task(self._make(turn), name=f"run {run.id}")

    async def _make(self, turn: Turn) -> None:
        lines.begin(run=turn.run.id, user=turn.run.user_id)
        try:
            if not await self._turns.run(turn) and not turn.lost:
                await self._claims.put_back([turn.run])
        except NotFound:
            _log.info("run %s is gone with its conversation", turn.run.id)
        except Exception:  # whatever it is, the others go on; recovery ends the run when its lease has run out
            _log.exception("run %s broke down", turn.run.id)
        finally:
            del self._running[turn.run.id]
            self._wake.set()
