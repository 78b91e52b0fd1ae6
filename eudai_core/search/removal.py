"""Taking what was deleted out of the search index, however often it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, UnitOfWork
from eudai_core.ids import new_id
from eudai_core.model import Job
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import SEARCH_INDEXES

__all__ = ["REMOVAL_JOB", "SearchRemoval"]

REMOVAL_JOB: Final = "search-remove"
"""The kind of the jobs; the key is that of SearchIndex.remove, the payload is ``{"key": …}``."""


class SearchRemoval:
    """Leaves the removal as a job, in the transaction that deletes the rows; and does those jobs.

    Who indexes a message at that moment either finds the conversation gone, or has stored before the deletion was
    committed, and so before the job runs: nothing is left (see SearchIndex.put).
    """

    def __init__(self, host: PluginHost, clock: Clock, wake: Callable[[], None]) -> None:
        """Remove from the host's search index."""
        self._host = host
        self._clock = clock
        self.wake = wake
        """Tell the job runner that there is work, after the commit."""

    async def schedule(self, unit: UnitOfWork, key: UUID) -> None:
        """Have a document, or all of a group, removed once the unit of work is committed."""
        await unit.jobs.add(Job(new_id(), REMOVAL_JOB, str(key), {"key": str(key)}, self._clock.now()))

    async def run(self, job: Job) -> None:
        """Remove."""
        index = self._host.find(SEARCH_INDEXES)
        if index is not None:
            await index.remove(UUID(job.payload["key"]))

    async def give_up(self, job: Job, error: str) -> None:
        """Leave it: a search drops what it finds there, since the rows are gone."""
