"""Whose answer comes next: the fair order over the queue of runs.

The k-th waiting run of a user stands as if the user had that many answers more than are running now, so users with
fewer answers go first and nobody's tenth question goes before somebody's first; equals go by waiting time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_sql.tables import ACTIVE, QUEUED, RUNNING
from eudai_sql.tables import runs as table
from eudai_sql.transaction import Transaction
from eudai_sql.types import UtcDateTime

__all__ = ["choose", "queue_position"]

_CLAIM_LOCK: Final = 0x6575_6461_6901
"""The key of the advisory lock under which runs are claimed ("eudai", 1)."""

_lock: Final = sa.text(f"select pg_advisory_xact_lock({_CLAIM_LOCK})")

_now: Final = sa.bindparam("now", type_=UtcDateTime())
_leased: Final = (table.c.status == RUNNING, table.c.lease_until > _now)
_running: Final = (
    sa.select(table.c.backend, table.c.host, sa.func.count()).where(*_leased).group_by(table.c.backend, table.c.host)
)
_hosts: Final = (
    sa.select(table.c.backend, table.c.host)
    .where(table.c.status == QUEUED)
    .distinct()
    .order_by(table.c.backend, table.c.host)
)
_on_host: Final = (
    table.c.status == QUEUED,
    table.c.backend == sa.bindparam("backend"),
    table.c.host == sa.bindparam("host"),
)


def _answers_of_users(*condition: sa.ColumnElement[bool]) -> sa.CTE:
    counted = sa.select(table.c.user_id, sa.func.count().label("answers")).where(*condition)
    return counted.group_by(table.c.user_id).cte("busy")


def _turn(queue: sa.CTE, busy: sa.CTE) -> sa.ColumnElement[int]:
    return sa.func.coalesce(busy.c.answers, 0) + queue.c.place


def _queue(*condition: sa.ColumnElement[bool]) -> sa.CTE:
    place = sa.func.row_number().over(partition_by=table.c.user_id, order_by=(table.c.queued_at, table.c.id))
    waiting = sa.select(table.c.id, table.c.user_id, table.c.queued_at, place.label("place"))
    return waiting.where(*condition).cte("queue")


def _next_statement() -> sa.Select[Any]:
    other = table.alias("other")
    # Only the head of a conversation's queue may start, and only when none of its runs is running.
    earlier = sa.exists().where(
        other.c.conversation_id == table.c.conversation_id,
        other.c.status.in_(ACTIVE),
        sa.or_(
            other.c.status == RUNNING,
            sa.tuple_(other.c.queued_at, other.c.id) < sa.tuple_(table.c.queued_at, table.c.id),
        ),
    )
    queue, busy = _queue(*_on_host, ~earlier), _answers_of_users(*_leased)
    return (
        sa.select(queue.c.id)
        .join_from(queue, busy, busy.c.user_id == queue.c.user_id, isouter=True)
        .order_by(_turn(queue, busy), queue.c.queued_at, queue.c.id)
        .limit(sa.bindparam("room", type_=sa.Integer()))
    )


def _position_statement() -> sa.Select[Any]:
    own = table.alias("own")
    of_run = sa.select(own.c.backend, own.c.host).where(own.c.id == sa.bindparam("run_id")).cte("of_run")
    same_host = (table.c.status == QUEUED, table.c.backend == of_run.c.backend, table.c.host == of_run.c.host)
    queue, busy = _queue(*same_host), _answers_of_users(table.c.status == RUNNING)
    ahead = sa.func.row_number().over(order_by=(_turn(queue, busy), queue.c.queued_at, queue.c.id)) - 1
    ranked = (
        sa.select(queue.c.id, ahead.label("ahead"))
        .join_from(queue, busy, busy.c.user_id == queue.c.user_id, isouter=True)
        .subquery()
    )
    return sa.select(ranked.c.ahead).where(ranked.c.id == sa.bindparam("run_id"))


_next: Final = _next_statement()
_position: Final = _position_statement()


async def choose(tx: Transaction, *, now: datetime, capacity: Mapping[tuple[str, str], int], limit: int) -> list[UUID]:
    """Return the ids of the runs that may start now, at most ``limit``, in their order.

    A host that ``capacity`` does not name has room for one.

    Claims of all processes happen one after the other until they commit: on PostgreSQL under an advisory lock, on
    SQLite because there is one writer. Otherwise two processes could both see the last free place of a host.
    """
    if tx.dialect == "postgresql":
        await tx.run(_lock)
    running = {(backend, host): count for backend, host, count in await tx.rows(_running, {"now": now})}
    chosen: list[UUID] = []
    for backend, host in await tx.rows(_hosts):
        most = capacity.get((backend, host), 1)
        room = min(most - running.get((backend, host), 0), limit - len(chosen))
        if room > 0:
            values = {"now": now, "backend": backend, "host": host, "room": room}
            chosen += [row[0] for row in await tx.rows(_next, values)]
    return chosen


async def queue_position(tx: Transaction, run_id: UUID) -> int | None:
    """Return how many queued runs go before this one on its host; None when it is not queued."""
    place: int | None = await tx.value(_position, {"run_id": run_id})
    return place
