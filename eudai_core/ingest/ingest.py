"""Asking for documents to be read, and forgetting them."""

from __future__ import annotations

from typing import Final

from eudai_core.contracts import JobQueue, UnitOfWork
from eudai_core.ids import new_id
from eudai_core.model import DocumentVersion, FileRecord, Job
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import SEARCH_INDEXES

__all__ = ["INGEST_JOB", "Ingest"]

INGEST_JOB: Final = "ingest"
"""The kind of the jobs; the key is the version's id, the payload ``{"version_id": …, "document_id": …}``."""


class Ingest:
    """The beginning and the end of the chain from a blob to passages; a job does what lies between."""

    def __init__(self, host: PluginHost, jobs: JobQueue) -> None:
        """Leave the work in ``jobs``."""
        self._host = host
        self._jobs = jobs

    async def schedule(self, unit: UnitOfWork, version: DocumentVersion) -> None:
        """Have a version read once the unit of work is committed: no crash can part the row from the job.

        Wake the job runner after the commit.
        """
        job = Job(new_id(), INGEST_JOB, str(version.id), _payload(version), self._host.clock.now())
        await unit.jobs.add(job)

    async def enqueue(self, version: DocumentVersion) -> None:
        """Have a stored version read."""
        await self._jobs.enqueue(INGEST_JOB, str(version.id), _payload(version))

    async def forget(self, file: FileRecord) -> None:
        """Take a file out of the search index.

        A job that was reading the file removes what it put there itself, as soon as it finds the file's row gone.
        """
        index = self._host.find(SEARCH_INDEXES)
        if index is not None:
            await index.remove(file.id)


def _payload(version: DocumentVersion) -> dict[str, str]:
    return {"version_id": str(version.id), "document_id": str(version.owner_id)}
