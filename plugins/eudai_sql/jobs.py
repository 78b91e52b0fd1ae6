"""Background jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from eudai_core.model import Job, JobState
from eudai_sql.repository import Repository
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
_held: Final = (_this, table.c.owner == sa.bindparam("holder"), table.c.state == RUNNING_JOB)
_put_down: Final = {"state": JobState.WAITING.value, "owner": None, "lease_until": None}
_release: Final = table.update().where(*_held).values(**_put_down, attempts=table.c.attempts - 1)
_postpone: Final = (
    table.update()
    .where(*_held)
    .values(**_put_down, attempts=table.c.attempts - 1, run_after=sa.bindparam("new_run_after"))
)
_finish: Final = table.delete().where(*_held)
_retry: Final = (
    table.update()
    .where(*_held)
    .values(**_put_down, error=sa.bindparam("new_error"), run_after=sa.bindparam("new_run_after"))
)
_fail: Final = (
    table.update()
    .where(*_held)
    .values(state=JobState.FAILED.value, owner=None, lease_until=None, error=sa.bindparam("new_error"))
)
_next_due: Final = sa.select(
    sa.func.min(sa.case((table.c.state == WAITING_JOB, table.c.run_after), else_=table.c.lease_until))
).where(_kinds, table.c.state.in_(OPEN))

_is_running: Final = (
    sa.select(table.c.id)
    .where(
        table.c.kind == sa.bindparam("kind"), table.c.state == RUNNING_JOB, table.c.lease_until > sa.bindparam("now")
    )
    .limit(1)
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

    async def release(self, job_id: UUID, *, owner: str) -> None:
        """Put a running job down unfinished; the claim does not count as a try. Any other job stays as it is."""
        await self._tx.run(_release, {"job_id": job_id, "holder": owner})

    async def postpone(self, job_id: UUID, *, owner: str, run_after: datetime) -> None:
        """Put a running job down until a time; the claim does not count as a try."""
        await self._tx.run(_postpone, {"job_id": job_id, "holder": owner, "new_run_after": run_after})

    async def finish(self, job_id: UUID, *, owner: str) -> None:
        """A job is done."""
        await self._tx.run(_finish, {"job_id": job_id, "holder": owner})

    async def retry(self, job_id: UUID, *, owner: str, error: str, run_after: datetime) -> None:
        """A job failed and is to be tried again."""
        values = {"job_id": job_id, "holder": owner, "new_error": error, "new_run_after": run_after}
        await self._tx.run(_retry, values)

    async def fail(self, job_id: UUID, *, owner: str, error: str) -> None:
        """A job failed for good."""
        await self._tx.run(_fail, {"job_id": job_id, "holder": owner, "new_error": error})

    async def running(self, kind: str, *, now: datetime) -> bool:
        """Tell whether somebody is doing a job of a kind."""
        return await self._tx.row(_is_running, {"kind": kind, "now": now}) is not None

    async def next_due(self, kinds: Sequence[str]) -> datetime | None:
        """Return when the next job may be claimed: it is due, or the lease on it runs out."""
        due: datetime | None = await self._tx.value(_next_due, {"kinds": list(kinds)})
        return due


def _job(row: Row) -> Job:
    key, kind, name, payload, run_after, state, *rest = row
    return Job(key, kind, name, payload, run_after, JobState(state), *rest)
