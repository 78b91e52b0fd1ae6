"""The table of background jobs."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from eudai_sql.tables.metadata import metadata
from eudai_sql.types import CleanText, Json, UtcDateTime

__all__ = ["OPEN", "RUNNING_JOB", "WAITING_JOB", "jobs"]

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
