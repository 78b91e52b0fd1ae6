"""The tables of background jobs and of what requests under idempotency keys were answered."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from eudai_sql.tables.metadata import metadata, owner_key
from eudai_sql.types import CleanText, Json, UtcDateTime

__all__ = ["OPEN", "RUNNING_JOB", "WAITING_JOB", "idempotency_keys", "jobs"]

# Literals, because a partial index serves only a query whose text implies its condition.
WAITING_JOB: Final = sa.literal_column("'waiting'", sa.String())
RUNNING_JOB: Final = sa.literal_column("'running'", sa.String())
OPEN: Final = (WAITING_JOB, RUNNING_JOB)

jobs: Final = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("kind", CleanText(), nullable=False),
    sa.Column("key", CleanText(), nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Column("run_after", UtcDateTime(), nullable=False),
    sa.Column("state", CleanText(), nullable=False),
    sa.Column("attempts", sa.Integer(), nullable=False),
    sa.Column("error", CleanText()),
    sa.Column("owner", CleanText()),
    sa.Column("lease_until", UtcDateTime()),
)

_open = jobs.c.state.in_(OPEN)
sa.Index("ix_jobs_open", jobs.c.kind, jobs.c.key, unique=True, sqlite_where=_open, postgresql_where=_open)
sa.Index("ix_jobs_due", jobs.c.kind, jobs.c.run_after, sqlite_where=_open, postgresql_where=_open)

idempotency_keys: Final = sa.Table(
    "idempotency_keys",
    metadata,
    owner_key("user_id", "users.id", primary_key=True),
    sa.Column("key", CleanText(), primary_key=True),
    sa.Column("request_hash", CleanText(), nullable=False),
    sa.Column("begun_at", UtcDateTime(), nullable=False, index=True),
    # Empty while the request is being answered.
    sa.Column("status", sa.Integer()),
    sa.Column("headers", Json, nullable=False),
    sa.Column("body", sa.LargeBinary(), nullable=False),
)
