"""Asking for documents to be read."""

from __future__ import annotations

from typing import Final

from eudai_core.contracts import Clock, JobQueue, UnitOfWork
from eudai_core.ids import new_id
from eudai_core.model import DocumentVersion, Job

__all__ = ["INGEST_JOB", "Ingest", "schedule_again"]

INGEST_JOB: Final = "ingest"
"""The kind of jobs; the key begins with the version's id, the payload is ``{"version_id": …, "document_id": …}``."""


class Ingest:
    """The beginning of the chain from a blob to passages; a job does what follows."""

    def __init__(self, clock: Clock, jobs: JobQueue) -> None:
        """Leave the work in ``jobs``."""
        self._clock = clock
        self._jobs = jobs

    async def schedule(self, unit: UnitOfWork, version: DocumentVersion) -> None:
        """Have a version read once the unit of work is committed: no crash can part the row from the job.

        Wake the job runner after the commit.
        """
        job = Job(new_id(), INGEST_JOB, str(version.id), _payload(version), self._clock.now())
        await unit.jobs.add(job)

    async def reschedule(self, unit: UnitOfWork, version: DocumentVersion) -> None:
        """Have a version looked at again, also when that is being done now: what it found may be out of date."""
        await schedule_again(unit, version, self._clock)

    async def enqueue(self, version: DocumentVersion) -> None:
        """Have a stored version read."""
        await self._jobs.enqueue(INGEST_JOB, str(version.id), _payload(version))


async def schedule_again(unit: UnitOfWork, version: DocumentVersion, clock: Clock) -> None:
    """Add a further job for a version, beside the one that may be running."""
    job = Job(new_id(), INGEST_JOB, f"{version.id}.{new_id().hex}", _payload(version), clock.now())
    await unit.jobs.add(job)


def _payload(version: DocumentVersion) -> dict[str, str]:
    return {"version_id": str(version.id), "document_id": str(version.owner_id)}
