"""Background jobs, and how the plugins are doing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from eudai_core.model import Job, PluginState

__all__ = ["Jobs", "PluginStates"]


class Jobs(Protocol):
    """Background jobs."""

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

    async def release(self, job_id: UUID) -> None:
        """Put a running job down unfinished: anyone may claim it at once, and the claim does not count as a try."""
        ...

    async def finish(self, job_id: UUID) -> None:
        """A job is done."""
        ...

    async def retry(self, job_id: UUID, *, error: str, run_after: datetime) -> None:
        """A job failed and is to be tried again."""
        ...

    async def fail(self, job_id: UUID, *, error: str) -> None:
        """A job failed for good."""
        ...

    async def next_due(self, kinds: Sequence[str]) -> datetime | None:
        """Return when the next waiting job is due, or None."""
        ...


class PluginStates(Protocol):
    """How the plugins of each process are doing, for the CLI and for other processes."""

    async def save(self, instance: str, states: Sequence[PluginState], *, at: datetime) -> None:
        """Replace the states that one server process reported."""
        ...

    async def latest(self) -> Sequence[PluginState]:
        """Return the states that the process that reported last saw."""
        ...
