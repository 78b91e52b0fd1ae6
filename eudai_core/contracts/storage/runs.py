"""Runs, the event log, and what each run saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from eudai_core.model import Command, ContextRecord, EventRecord, Run, RunStatus

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

    async def of_answer(self, answer_id: UUID) -> Run:
        """Return the newest run of an answer."""
        ...

    async def active(self, conversation_id: UUID) -> Sequence[Run]:
        """Return the queued and running runs of a conversation in their order."""
        ...

    async def position(self, run_id: UUID) -> int:
        """Return how many queued runs stand before this one for the same backend host; 0 when it is next or running."""
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
        longest waiting. Safe against other processes.
        """
        ...

    async def announce(self, run_id: UUID) -> None:
        """Note that the ``user_message`` event of a run has been given out."""
        ...

    async def heartbeat(self, run_ids: Sequence[UUID], *, owner: str, until: datetime) -> Sequence[UUID]:
        """Renew the leases of runs that the owner is making; return those of them that somebody asked to stop.

        A run that its owner has lost track of is not named, so its lease runs out and somebody ends it.
        """
        ...

    async def request_stop(self, run_id: UUID) -> Run:
        """Ask the run's owner to stop; a queued run is ended as stopped at once. Returns the run as it is then."""
        ...

    async def finish(self, run_id: UUID, status: RunStatus, *, at: datetime) -> None:
        """End a run."""
        ...

    async def abandoned(self, *, now: datetime, except_owner: str | None, limit: int) -> Sequence[Run]:
        """Return running runs whose lease ran out; with ``except_owner``, all that are not this owner's."""
        ...


class Events(Protocol):
    """The event log of conversations."""

    async def append(self, events: Sequence[EventRecord]) -> None:
        """Store events of any number of conversations, in one statement; numbers stored already are left alone."""
        ...

    async def after(self, conversation_id: UUID, seq: int, *, limit: int) -> Sequence[EventRecord]:
        """Return the events numbered above ``seq``, in order."""
        ...

    async def of_run(self, run_id: UUID) -> Sequence[EventRecord]:
        """Return every event of a run, in order."""
        ...


class Contexts(Protocol):
    """Context records, and the texts that they name."""

    async def put(self, record: ContextRecord, texts: Mapping[str, str]) -> None:
        """Store a record and the texts not stored yet, by SHA-256 of their UTF-8 bytes in hex."""
        ...

    async def of_message(self, answer_id: UUID) -> ContextRecord | None:
        """Return the newest record of an answer, or None."""
        ...

    async def of_messages(self, answer_ids: Sequence[UUID]) -> Mapping[UUID, ContextRecord]:
        """Return the newest records of several answers, in one statement; without those that have none."""
        ...

    async def texts(self, hashes: Sequence[str]) -> Mapping[str, str]:
        """Return texts by hash; an erased one is missing."""
        ...
