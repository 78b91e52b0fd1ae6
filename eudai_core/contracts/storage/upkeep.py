"""Background jobs, and how the plugins are doing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from eudai_core.model import Job, PluginState, StoredAnswer

__all__ = ["Answers", "Jobs", "PluginStates"]


class Jobs(Protocol):
    """Background jobs. What is told of a job by somebody who does not have it (any more) changes nothing."""

    async def add(self, job: Job) -> bool:
        """Add a job; False when one of the same kind and key is waiting or running. A failed one is no obstacle."""
        ...

    async def claim(
        self, kinds: Sequence[str], *, owner: str, now: datetime, until: datetime, limit: int
    ) -> Sequence[Job]:
        """Take jobs that are due, or whose lease ran out, oldest first; safe against other processes.

        They come back as running, with ``attempts`` one higher: a claim counts as a try, even when its process dies.
        """
        ...

    async def heartbeat(self, *, owner: str, until: datetime) -> Sequence[UUID]:
        """Renew the leases of all running jobs of an owner, and return the ids of these jobs."""
        ...

    async def release(self, job_id: UUID, *, owner: str) -> None:
        """Put a running job down unfinished: anyone may claim it at once, and the claim does not count as a try."""
        ...

    async def postpone(self, job_id: UUID, *, owner: str, run_after: datetime) -> None:
        """Put a running job down until a time; the claim does not count as a try."""
        ...

    async def finish(self, job_id: UUID, *, owner: str) -> None:
        """A job is done, and forgotten."""
        ...

    async def retry(self, job_id: UUID, *, owner: str, error: str, run_after: datetime) -> None:
        """A job failed and is to be tried again."""
        ...

    async def fail(self, job_id: UUID, *, owner: str, error: str) -> None:
        """A job failed for good."""
        ...

    async def running(self, kind: str, *, now: datetime) -> bool:
        """Tell whether somebody is doing a job of a kind: one whose lease runs."""
        ...

    async def next_due(self, kinds: Sequence[str]) -> datetime | None:
        """Return when the next job may be claimed: it is due, or the lease on it runs out; None when there is none."""
        ...


class PluginStates(Protocol):
    """How the plugins of each process are doing, for the CLI and for other processes."""

    async def save(self, instance: str, states: Sequence[PluginState], *, at: datetime) -> None:
        """Replace the states that one server process reported."""
        ...

    async def latest(self) -> Sequence[PluginState]:
        """Return the states that the process that reported last saw."""
        ...


class Answers(Protocol):
    """What requests under idempotency keys were answered. A key belongs to its user; it has at most 255 characters."""

    async def begin(
        self, user_id: UUID, key: str, answer: StoredAnswer, *, stale_before: datetime
    ) -> StoredAnswer | None:
        """Take a key for a request, and return None; or return what is kept under it.

        A key whose request began before ``stale_before`` and has no answer is taken over: its process died.
        Atomic: of several callers one is given None.
        """
        ...

    async def finish(self, user_id: UUID, key: str, answer: StoredAnswer) -> None:
        """Keep hash, status, headers and body for a request that was begun; an answer that is there already stays."""
        ...

    async def drop(self, user_id: UUID, key: str) -> None:
        """Give a key back: its request was refused, and may be sent again. An answer that is there already stays."""
        ...

    async def forget(self, *, begun_before: datetime) -> int:
        """Forget the answers to requests that began before a time; return how many."""
        ...
