"""Commands, and the queue of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from eudai_core.errors import Conflict
from eudai_core.model import Command, Heartbeat, Run, RunStatus
from eudai_core.testing._memory.state import State
from eudai_core.testing._memory.transaction import Repository
from eudai_core.testing._memory.values import insert, kept, required

__all__ = ["MemoryRuns"]


class MemoryRuns(Repository):
    """See eudai_core.contracts.Runs."""

    __slots__ = ()

    async def add(self, run: Run, command: Command | None) -> None:
        """Queue a run, and keep the command that asked for it."""
        state = await self._tx.writing()
        required(state.conversations, run.conversation_id, "conversation")
        if command is not None:
            key = (command.conversation_id, kept(command.client_id))
            if key in state.commands:
                raise Conflict("This client_id was used in this conversation before; use a new one.")
            state.commands[key] = kept(command)
        insert(state.runs, run.id, run, "run")

    async def command(self, conversation_id: UUID, client_id: str) -> Command | None:
        """Return the accepted command with this idempotency key, or None."""
        return (await self._tx.reading()).commands.get((conversation_id, kept(client_id)))

    async def get(self, run_id: UUID) -> Run:
        """Return a run."""
        return kept(required((await self._tx.reading()).runs, run_id, "run"))

    async def active(self, conversation_id: UUID) -> Sequence[Run]:
        """Return the queued and running runs of a conversation in their order."""
        return _active(await self._tx.reading(), conversation_id)

    async def position(self, run_id: UUID) -> int:
        """Return how many queued runs stand before this one for the same backend host."""
        state = await self._tx.reading()
        run = required(state.runs, run_id, "run")
        if run.status is not RunStatus.QUEUED:
            return 0
        queue = [other for other in _of(state, RunStatus.QUEUED) if _host(other) == _host(run)]
        return [other.id for other in _in_turn(queue, _of(state, RunStatus.RUNNING))].index(run_id)

    async def queued(self, backend: str | None = None) -> int:
        """Return how many runs are queued, for one backend or for all."""
        return sum(backend in {None, run.backend} for run in _of(await self._tx.reading(), RunStatus.QUEUED))

    async def claim(
        self, *, owner: str, now: datetime, until: datetime, capacity: Mapping[tuple[str, str], int], limit: int
    ) -> Sequence[Run]:
        """Take up to ``limit`` queued runs that may start, and return them as running."""
        state = await self._tx.writing()
        queued = _of(state, RunStatus.QUEUED)
        heads = [run for run in queued if _active(state, run.conversation_id)[0].id == run.id and not _busy(state, run)]
        leased = [run for run in _of(state, RunStatus.RUNNING) if run.lease_until is None or run.lease_until > now]
        answers = Counter(run.user_id for run in leased)
        room = Counter({_host(run): capacity.get(_host(run), 1) for run in queued})
        room.subtract(_host(run) for run in leased)
        taken: list[Run] = []
        while len(taken) < limit and (heads := [run for run in heads if room[_host(run)] > 0]):
            run = min(heads, key=lambda run: (answers[run.user_id], *_age(run)))
            heads.remove(run)
            answers[run.user_id] += 1
            room[_host(run)] -= 1
            state.runs[run.id] = replace(run, status=RunStatus.RUNNING, owner=owner, lease_until=until)
            taken.append(state.runs[run.id])
        return taken

    async def announce(self, run_id: UUID) -> None:
        """Note that the ``user_message`` event of a run has been given out."""
        runs = (await self._tx.writing()).runs
        runs[run_id] = replace(required(runs, run_id, "run"), announced=True)

    async def heartbeat(self, run_ids: Sequence[UUID], *, owner: str, until: datetime) -> Heartbeat:
        """Renew the leases of runs that the owner is making; tell which it still has, and which of them are to stop."""
        runs = (await self._tx.writing()).runs
        held = [runs[key] for key in run_ids if key in runs and _holds(owner, runs[key])]
        runs.update((run.id, replace(run, lease_until=until)) for run in held)
        return Heartbeat(frozenset(run.id for run in held), frozenset(run.id for run in held if run.stop_requested))

    async def release(self, run_id: UUID, *, owner: str) -> bool:
        """Put a claimed run back into the queue, at its old place; False when the owner does not have it."""
        runs = (await self._tx.writing()).runs
        if run_id not in runs or not _holds(owner, runs[run_id]):
            return False
        runs[run_id] = replace(runs[run_id], status=RunStatus.QUEUED, owner=None, lease_until=None)
        return True

    async def request_stop(self, run_id: UUID, *, at: datetime, end: bool = True) -> Run | None:
        """Ask the run's owner to stop; with ``end``, a queued run is ended at once, and returned."""
        state = await self._tx.writing()
        run = required(state.runs, run_id, "run")
        if run.status in {RunStatus.QUEUED, RunStatus.RUNNING}:
            state.runs[run_id] = replace(run, stop_requested=True)
        if not end or run.status is not RunStatus.QUEUED:
            return None
        _end(state, replace(run, stop_requested=True), RunStatus.STOPPED, at)
        return state.runs[run_id]

    async def finish(self, run_id: UUID, status: RunStatus, *, owner: str | None, at: datetime) -> bool:
        """End a running run; False when it is not running, or another owner has it."""
        state = await self._tx.writing()
        run = required(state.runs, run_id, "run")
        if run.status is not RunStatus.RUNNING or owner not in {None, run.owner}:
            return False
        _end(state, run, status, at)
        return True

    async def abandoned(
        self, *, now: datetime, except_owner: str | None, limit: int, known: Collection[UUID] = ()
    ) -> Sequence[Run]:
        """Return running runs whose lease ran out, or all of others; without those that are known."""
        running = [run for run in _of(await self._tx.reading(), RunStatus.RUNNING) if run.id not in known]
        if except_owner is not None:
            return [run for run in running if run.owner != except_owner][:limit]
        return [run for run in running if run.lease_until is not None and run.lease_until <= now][:limit]


def _end(state: State, run: Run, status: RunStatus, at: datetime) -> None:
    state.runs[run.id] = replace(run, status=status, lease_until=None)
    state.ended[run.id] = kept(at)


def _of(state: State, status: RunStatus) -> list[Run]:
    return sorted((run for run in state.runs.values() if run.status is status), key=_age)


def _active(state: State, conversation_id: UUID) -> list[Run]:
    open_runs = (*_of(state, RunStatus.QUEUED), *_of(state, RunStatus.RUNNING))
    return sorted((run for run in open_runs if run.conversation_id == conversation_id), key=_age)


def _busy(state: State, run: Run) -> bool:
    return any(other.conversation_id == run.conversation_id for other in _of(state, RunStatus.RUNNING))


def _in_turn(queue: Iterable[Run], running: Iterable[Run]) -> list[Run]:
    """Return a queue, oldest first, in the order of claims: each takes its user's running answers one higher."""
    answers = Counter(run.user_id for run in running)
    turns: list[tuple[int, datetime, UUID, Run]] = []
    for run in queue:
        turns.append((answers[run.user_id], *_age(run), run))
        answers[run.user_id] += 1
    return [turn[-1] for turn in sorted(turns, key=lambda turn: turn[:3])]


def _age(run: Run) -> tuple[datetime, UUID]:
    return run.queued_at, run.id


def _host(run: Run) -> tuple[str, str]:
    return run.backend, run.host


def _holds(owner: str, run: Run) -> bool:
    return run.status is RunStatus.RUNNING and run.owner == owner
