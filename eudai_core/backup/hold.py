"""One backup at a time, known to every process: a job with a lease that is renewed while the backup runs.

While it runs nobody deletes blobs (eudai_core.services.garbage), so that those which the snapshot names are there when
they are copied. A backup that was killed loses its lease after a minute, and everything goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import Conflict, EudaiError, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import Job

__all__ = ["BACKUP_JOB", "LEASE_SECONDS", "Hold", "backup_hold"]

BACKUP_JOB: Final = "backup"
"""The kind of the job that stands for a running backup."""
LEASE_SECONDS: Final = 60.0
"""After how long a silent backup is one that was killed."""

_RENEW_SECONDS: Final = LEASE_SECONDS / 4
_AGAIN_SECONDS: Final = 1.0
_KEY: Final = "all"
_log: Final = logging.getLogger(__name__)


class Hold:
    """The only backup, as long as its lease runs without a gap."""

    def __init__(self, storage: Storage, clock: Clock, owner: str, job: Job, until: datetime) -> None:
        """Hold ``job``, which was claimed for ``owner``."""
        self._storage = storage
        self._clock = clock
        self._owner = owner
        self._job = job
        self._until = until
        self._gone = False

    def check(self) -> None:
        """See that the hold is not known to be gone.

        Raises:
            StorageUnavailable: files may have been deleted meanwhile, which the backup names.
        """
        if self._gone or self._clock.now() >= self._until:
            self._gone = True
            raise StorageUnavailable(
                "The backup was ended: for a minute it could not tell the database that it still runs, so that files "
                "may have been deleted meanwhile. Nothing of it was kept; try again."
            )

    async def confirm(self) -> None:
        """See that the database still has the hold, however long it needs to answer while the lease runs.

        Raises:
            StorageUnavailable: it has not.
        """
        while True:
            self.check()
            try:
                await self._renew()
            except StorageUnavailable as error:
                _log.warning("the lease of the backup was not renewed, and will be tried again: %s", error.detail)
                await self._clock.sleep(_AGAIN_SECONDS)
            else:
                self.check()
                return

    async def renew(self) -> None:
        """Renew the lease every now and then until cancelled, or until it is gone."""
        while not self._gone:
            await self._clock.sleep(_RENEW_SECONDS)
            try:
                await self._renew()
            except EudaiError as error:
                _log.warning("the lease of the backup was not renewed, and will be tried again: %s", error.detail)
            except (
                Exception
            ):  # whatever it is, the next try may work; if none does, the lease runs out, and that is told
                _log.exception("the lease of the backup was not renewed, and will be tried again")

    async def release(self) -> None:
        """Let others make backups."""
        with suppress(StorageUnavailable):  # then the lease runs out by itself
            async with self._storage.unit_of_work() as unit:
                await unit.jobs.finish(self._job.id, owner=self._owner)
                await unit.commit()

    async def _renew(self) -> None:
        now = self._clock.now()
        if now >= self._until:  # whoever looked in between saw no backup
            self._gone = True
            return
        until = now + timedelta(seconds=LEASE_SECONDS)
        async with self._storage.unit_of_work() as unit:
            if self._job.id not in await unit.jobs.heartbeat(owner=self._owner, until=until):
                self._gone = True
                return
            await unit.commit()
        self._until = until


@asynccontextmanager
async def backup_hold(storage: Storage, clock: Clock) -> AsyncIterator[Hold]:
    """Hold the only backup as long as the block runs, which asks the hold every now and then whether it is still so.

    Raises:
        Conflict: another one runs.
        StorageUnavailable: the database does not answer.
    """
    owner = f"backup-{socket.gethostname()}-{os.getpid()}-{new_id().hex[-8:]}"
    until = clock.now() + timedelta(seconds=LEASE_SECONDS)
    hold = Hold(storage, clock, owner, await _take(storage, clock, owner, until), until)
    renewing = asyncio.create_task(hold.renew(), name="eudai-backup-lease")
    try:
        yield hold
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await hold.release()


async def _take(storage: Storage, clock: Clock, owner: str, until: datetime) -> Job:
    now = clock.now()
    async with storage.unit_of_work() as unit:
        await unit.jobs.add(Job(new_id(), BACKUP_JOB, _KEY, {}, now))
        # Either the one just added, or one whose process was killed.
        claimed = await unit.jobs.claim([BACKUP_JOB], owner=owner, now=now, until=until, limit=1)
        if not claimed:
            raise Conflict("Another backup is running: wait until it has ended. One that was killed ends in a minute.")
        await unit.commit()
    return claimed[0]
