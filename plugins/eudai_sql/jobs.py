"""Background jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from eudai_core.model import Job, JobState
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import OPEN, RUNNING_JOB, WAITING_JOB
from eudai_sql.tables import jobs as table
from eudai_sql.transaction import Row

__all__ = ["SqlJobs"]

_columns: Final = (
    table.c.id,
    table.c.kind,
    table.c.key,
    table.c.payload,
    table.c.run_after,
    table.c.state,
    table.c.attempts,
    table.c.error,
    table.c.owner,
    table.c.lease_until,
)
_this: Final = table.c.id == sa.bindparam("job_id")
_kinds: Final = table.c.kind.in_(sa.bindparam("kinds", expanding=True))
# The unique index on the open jobs decides.
_add: Final = insert(table).on_conflict_do_nothing()
_due: Final = (
    sa.select(table.c.id)
    .where(
        _kinds,
        table.c.state.in_(OPEN),
        sa.or_(
            sa.and_(table.c.state == WAITING_JOB, table.c.run_after <= sa.bindparam("now")),
            sa.and_(table.c.state == RUNNING_JOB, table.c.lease_until <= sa.bindparam("now")),
        ),
    )
    .order_by(table.c.run_after, table.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
    .with_for_update(skip_locked=True)
)
_take: Final = (
    table.update()
    .where(table.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(
        state=JobState.RUNNING.value,
        attempts=table.c.attempts + 1,
        owner=sa.bindparam("new_owner"),
        lease_until=sa.bindparam("until"),
    )
    .returning(*_columns)
)
_heartbeat: Final = (
    table.update()
    .where(table.c.owner == sa.bindparam("holder"), table.c.state == RUNNING_JOB)
    .values(lease_until=sa.bindparam("until"))
    .returning(table.c.id)
)
_put_down: Final = {"state": JobState.WAITING.value, "owner": None, "lease_until": None}
_release: Final = (
    table.update().where(_this, table.c.state == RUNNING_JOB).values(**_put_down, attempts=table.c.attempts - 1)
)
_finish: Final = table.delete().where(_this)
_retry: Final = (
    table.update()
    .where(_this)
    .values(**_put_down, error=sa.bindparam("new_error"), run_after=sa.bindparam("new_run_after"))
)
_fail: Final = (
    table.update()
    .where(_this)
    .values(state=JobState.FAILED.value, owner=None, lease_until=None, error=sa.bindparam("new_error"))
)
_next_due: Final = sa.select(sa.func.min(table.c.run_after)).where(
    _kinds, table.c.state.in_(OPEN), table.c.state == WAITING_JOB
)


class SqlJobs(Repository):
    """See eudai_core.contracts.Jobs. Jobs that are done are deleted; failed ones stay, with their error."""

    __slots__ = ()

    async def add(self, job: Job) -> bool:
        """Add a job; False when one of the same kind and key is waiting or running."""
        values: dict[str, Any] = {column.name: getattr(job, column.name) for column in _columns}
        return await self._tx.run(_add, values | {"state": job.state.value}) == 1

    async def claim(self, kinds: Sequence[str], *, owner: str, now: datetime, until: datetime, limit: int) -> list[Job]:
        """Take jobs that are due, or whose lease ran out, oldest first; each claim counts as a try."""
        due = [row[0] for row in await self._tx.rows(_due, {"kinds": list(kinds), "now": now, "limit": limit})]
        if not due:
            return []
        taken = await self._tx.rows(_take, {"ids": due, "new_owner": owner, "until": until})
        by_id = {job.id: job for job in map(_job, taken)}
        return [by_id[key] for key in due if key in by_id]

    async def heartbeat(self, *, owner: str, until: datetime) -> list[UUID]:
        """Renew the leases of all running jobs of an owner, and return the ids of these jobs."""
        return [row[0] for row in await self._tx.rows(_heartbeat, {"holder": owner, "until": until})]

    async def release(self, job_id: UUID) -> None:
        """Put a running job down unfinished; the claim does not count as a try. Any other job stays as it is."""
        await self._tx.run(_release, {"job_id": job_id})

    async def finish(self, job_id: UUID) -> None:
        """A job is done; one that is not there was done by somebody else."""
        await self._tx.run(_finish, {"job_id": job_id})

    async def retry(self, job_id: UUID, *, error: str, run_after: datetime) -> None:
        """A job failed and is to be tried again."""
        values = {"job_id": job_id, "new_error": error, "new_run_after": run_after}
        if not await self._tx.run(_retry, values):
            raise missing("job", job_id)

    async def fail(self, job_id: UUID, *, error: str) -> None:
        """A job failed for good."""
        if not await self._tx.run(_fail, {"job_id": job_id, "new_error": error}):
            raise missing("job", job_id)

    async def next_due(self, kinds: Sequence[str]) -> datetime | None:
        """Return when the next waiting job is due, or None."""
        due: datetime | None = await self._tx.value(_next_due, {"kinds": list(kinds)})
        return due


def _job(row: Row) -> Job:
    key, kind, name, payload, run_after, state, *rest = row
    return Job(key, kind, name, payload, run_after, JobState(state), *rest)
