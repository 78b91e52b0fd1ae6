"""Background work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from eudai_core.errors import EudaiError
from eudai_core.model import Job

__all__ = ["JobHandler", "JobPostponed", "JobQueue"]


class JobPostponed(EudaiError):  # noqa: N818 -- it says what happened, and is no error
    """Raised by a handler whose time has not come: it is asked again in ``retry_after`` seconds; no try is counted."""

    def __init__(self, detail: str, *, retry_after: float) -> None:
        """Say why, and for how long."""
        super().__init__(detail, retry_after=retry_after)
        self.seconds = retry_after


@runtime_checkable
class JobHandler(Protocol):
    """Does the jobs of one kind. It may run again after a crash, so it must not mind being repeated."""

    async def run(self, job: Job) -> None:
        """Do the job; what it raises is kept as the job's error and tried again with back-off, a few times.

        Raises:
            JobPostponed: not now.
            EudaiError: with ``retry_after`` to choose when to try again.
        """
        ...

    async def give_up(self, job: Job, error: str) -> None:
        """Called once, instead of a further try, when the last one failed."""
        ...


@runtime_checkable
class JobQueue(Protocol):
    """Where background work is left."""

    async def enqueue(self, kind: str, key: str, payload: Mapping[str, Any], *, delay: float = 0.0) -> None:
        """Have the job done once, ``delay`` seconds from now; one that waits under the same key is left alone."""
        ...
