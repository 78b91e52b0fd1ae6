"""Removing blobs that no row names any more, after the rows are gone, however often it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from eudai_core.backup.hold import BACKUP_JOB
from eudai_core.contracts import BlobStore, Clock, JobPostponed, Storage, UnitOfWork
from eudai_core.ids import new_id
from eudai_core.model import Job

__all__ = ["BLOB_JOB", "BlobGarbage"]

BLOB_JOB: Final = "blob-delete"
"""The kind of the jobs that delete a blob; the payload is ``{"key": …}``."""

_BACKUP_PATIENCE_S: Final = 30.0
"""How long a deletion waits before it looks again whether a backup runs."""


class BlobGarbage:
    """Leaves the deletion of blobs as jobs, in the transaction that deletes their rows; and does those jobs."""

    def __init__(self, storage: Storage, blobs: BlobStore | None, clock: Clock, wake: Callable[[], None]) -> None:
        self._storage = storage
        self._blobs = blobs
        self._clock = clock
        self.wake = wake
        """Tell the job runner that there is work, after the commit."""

    async def schedule(self, unit: UnitOfWork, keys: Sequence[str]) -> None:
        """Have the blobs deleted once the unit of work is committed."""
        for key in keys:
            await unit.jobs.add(Job(new_id(), BLOB_JOB, key, {"key": key}, self._clock.now()))

    async def run(self, job: Job) -> None:
        """Delete the blob of a job.

        Raises:
            JobPostponed: a backup runs, whose snapshot may still name the blob.
        """
        if self._blobs is None:
            return
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            backup_runs = await unit.jobs.running(BACKUP_JOB, now=self._clock.now())
        if backup_runs:
            raise JobPostponed("A backup runs.", retry_after=_BACKUP_PATIENCE_S)
        await self._blobs.delete(str(job.payload["key"]))

    async def give_up(self, job: Job, error: str) -> None:
        """Leave the blob to the sweeper; nothing names it, so it harms nobody."""
