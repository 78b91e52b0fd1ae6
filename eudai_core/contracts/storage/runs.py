"""Runs, the event log, and what each run saw."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from eudai_core.model import Command, ContextRecord, EventRecord, Heartbeat, Run, RunStatus

__all__ = ["Contexts", "Events", "Runs"]


class Runs(Protocol):
    """Commands and runs: the queue, its leases, and idempotency."""

    async def add(self, run: Run, command: Command | None) -> None:
        """Queue a run, and keep the command that asked for it. Raises Conflict when its client_id is taken."""
        ...

    async def command(self, conversation_id: UUID, client_id: str) -> Command | None:
        """Return the accepted command with this idempotency key, or None."""
        ...

    async def get(self, run_id: UUID) -> Run:
        """Return a run."""
        ...

    async def active(self, conversation_id: UUID) -> Sequence[Run]:
        """Return the queued and running runs of a conversation in their order."""
        ...

    async def position(self, run_id: UUID) -> int:
        """Return how many queued runs stand before this one for the same backend host; 0 when it is next or running.

        They stand in the order of claims.
        """
        ...

    async def queued(self, backend: str | None = None) -> int:
        """Return how many runs are queued, for one backend or for all."""
        ...

    async def claim(
        self, *, owner: str, now: datetime, until: datetime, capacity: Mapping[tuple[str, str], int], limit: int
    ) -> Sequence[Run]:
        """Take up to ``limit`` queued runs that may start, and return them as running.

        One run of a conversation at a time, in their order; at most ``capacity[(backend, host)]`` running per backend
        host over all processes (one for a host not named); users with fewer running answers first, then the
        longest waiting. A run that somebody asked to stop is claimed like any other: who claims it ends it. A running
        one whose lease ran out takes no place of its host, and still keeps its conversation from the next. Safe against
        other processes.
        """
        ...

    async def announce(self, run_id: UUID) -> None:
        """Note that the ``user_message`` event of a run has been given out."""
        ...

    async def heartbeat(self, run_ids: Sequence[UUID], *, owner: str, until: datetime) -> Heartbeat:
        """Renew the leases of runs that the owner is making; tell which it still has, and which of them are to stop.

        A run that its owner has lost track of is not named, so its lease runs out and somebody ends it.
        """
        ...

    async def release(self, run_id: UUID, *, owner: str) -> bool:
        """Put a claimed run back into the queue, at its old place: for an owner that ends before it began the answer.

        False when the owner does not have it.
        """
        ...

    async def request_stop(self, run_id: UUID, *, at: datetime, end: bool = True) -> Run | None:
        """Ask the run's owner to stop; with ``end``, a queued run is ended as stopped at once.

        Returns the run when this call ended it, so that one caller and no other ends its answer; else None. Without
        ``end``, for a caller that cannot tell the end, a queued run stays in its place and whoever claims it ends it.
        """
        ...

    async def finish(self, run_id: UUID, status: RunStatus, *, owner: str | None, at: datetime) -> bool:
        """End a running run; False when it is not running, or another owner has it, and so nothing was changed.

        ``owner`` is the process that makes it; None ends a running one whoever has it, for a process that found its
        lease run out.
        """
        ...

    async def abandoned(
        self, *, now: datetime, except_owner: str | None, limit: int, known: Collection[UUID] = ()
    ) -> Sequence[Run]:
        """Return running runs whose lease ran out; with ``except_owner``, all that are not this owner's.

        Without those that are ``known`` by their ids: they take no place of ``limit``.
        """
        ...


class Events(Protocol):
    """The event log of conversations."""

    async def append(self, events: Sequence[EventRecord]) -> None:
        """Store events of any number of conversations, in one statement; numbers stored already are left alone.

        Raises NotFound, and stores none, when one of the conversations is not there.
        """
        ...

    async def after(self, conversation_id: UUID, seq: int, *, limit: int) -> Sequence[EventRecord]:
        """Return the events numbered above ``seq``, in order."""
        ...

    async def of_run(self, run_id: UUID) -> Sequence[EventRecord]:
        """Return every event of a run that is in the log, in order."""
        ...

    async def trim(self, *, ended_before: datetime, limit: int) -> int:
        """Forget the events of up to ``limit`` runs that ended before a time; return of how many runs.

        With them goes everything numbered before them in their conversations, so a run has to wait as long as another
        one of its conversation has not ended that has an event before its last. Very many events are forgotten in
        parts, a transaction each: a run that is not done yet may be counted in each. 0: there is nothing left that can
        be forgotten now. Safe against other processes.
        """
        ...

    async def trimmed(self, conversation_id: UUID) -> int:
        """Return the number up to which the log of a conversation was trimmed; 0 when it is whole."""
        ...


class Contexts(Protocol):
    """Context records, and the texts that they name."""

    async def put(self, record: ContextRecord, texts: Mapping[str, str]) -> None:
        """Store a record and the texts not stored yet, by SHA-256 of their UTF-8 bytes in hex.

        The text of a segment whose origin is of the type "file" or "url" belongs to that file or page: it is erased
        with it, and not stored when that is gone. Every other text belongs to the conversation. A text goes with the
        last that it belongs to.
        """
        ...

    async def of_message(self, answer_id: UUID) -> ContextRecord | None:
        """Return the newest record of an answer, of its newest run's last step, or None."""
        ...

    async def of_messages(self, answer_ids: Sequence[UUID]) -> Mapping[UUID, ContextRecord]:
        """Return the newest records of several answers, in one statement; without those that have none."""
        ...

    async def texts(self, hashes: Sequence[str]) -> Mapping[str, str]:
        """Return texts by hash; an erased one is missing."""
        ...
