"""Commands and runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import Conflict
from eudai_core.model import Command, CommandKind, Heartbeat, Run, RunStatus
from eudai_sql.repository import Repository, missing
from eudai_sql.run_queue import choose, queue_position
from eudai_sql.tables import ACTIVE, QUEUED, RUNNING, commands
from eudai_sql.tables import runs as table
from eudai_sql.transaction import Row

__all__ = ["SqlRuns"]

_columns: Final = (
    table.c.id,
    table.c.conversation_id,
    table.c.user_id,
    table.c.message_id,
    table.c.answer_id,
    table.c.kind,
    table.c.model,
    table.c.backend,
    table.c.host,
    table.c.queued_at,
    table.c.status,
    table.c.owner,
    table.c.lease_until,
    table.c.stop_requested,
    table.c.announced,
    table.c.options,
)
_this: Final = table.c.id == sa.bindparam("run_id")
_active: Final = table.c.status.in_(ACTIVE)
_limit: Final = sa.bindparam("limit", type_=sa.Integer())
_add: Final = table.insert()
_add_command: Final = commands.insert()
_command: Final = sa.select(
    commands.c.conversation_id,
    commands.c.client_id,
    commands.c.kind,
    commands.c.request_hash,
    commands.c.message_id,
    commands.c.answer_id,
    commands.c.run_id,
    commands.c.created_at,
).where(commands.c.conversation_id == sa.bindparam("conversation"), commands.c.client_id == sa.bindparam("client"))
_get: Final = sa.select(*_columns).where(_this)
_of_conversation: Final = (
    sa.select(*_columns)
    .where(table.c.conversation_id == sa.bindparam("conversation"), _active)
    .order_by(table.c.queued_at, table.c.id)
)
_queued: Final = sa.select(sa.func.count()).select_from(table).where(table.c.status == QUEUED)
_queued_for: Final = _queued.where(table.c.backend == sa.bindparam("backend"))
_take: Final = (
    table.update()
    .where(table.c.id.in_(sa.bindparam("ids", expanding=True)), table.c.status == QUEUED)
    .values(
        status=RunStatus.RUNNING.value,
        owner=sa.bindparam("new_owner"),
        lease_until=sa.bindparam("until"),
    )
    .returning(*_columns)
)
_announce: Final = table.update().where(_this).values(announced=True)
_held: Final = (table.c.owner == sa.bindparam("holder"), table.c.status == RUNNING)
_heartbeat: Final = (
    table.update()
    .where(table.c.id.in_(sa.bindparam("run_ids", expanding=True)), *_held)
    .values(lease_until=sa.bindparam("until"))
    .returning(table.c.id, table.c.stop_requested)
)
_release: Final = (
    table.update().where(_this, *_held).values(status=RunStatus.QUEUED.value, owner=None, lease_until=None)
)
_stop_queued: Final = (
    table.update()
    .where(_this, table.c.status == QUEUED)
    .values(stop_requested=True, status=RunStatus.STOPPED.value, finished_at=sa.bindparam("at"))
    .returning(*_columns)
)
_ask_to_stop: Final = table.update().where(_this, _active).values(stop_requested=True)
_end: Final = table.update().values(status=sa.bindparam("new_status"), lease_until=None, finished_at=sa.bindparam("at"))
# By whether only its owner may end it.
_finish: Final = {False: _end.where(_this, table.c.status == RUNNING), True: _end.where(_this, *_held)}
_running: Final = (
    sa.select(*_columns).where(table.c.status == RUNNING).order_by(table.c.lease_until, table.c.id).limit(_limit)
)
_unknown: Final = table.c.id.not_in(sa.bindparam("known", expanding=True))
# By whether an owner is excepted.
_abandoned: Final = {
    False: _running.where(table.c.lease_until <= sa.bindparam("now")),
    True: _running.where(table.c.owner != sa.bindparam("holder")),
}


class SqlRuns(Repository):
    """See eudai_core.contracts.Runs."""

    __slots__ = ()

    async def add(self, run: Run, command: Command | None) -> None:
        """Queue a run, and keep the command that asked for it."""
        if command is not None:
            await self._add_command(command)
        values = {column.name: getattr(run, column.name) for column in _columns}
        await self._tx.run(_add, values | {"kind": run.kind.value, "status": run.status.value, "finished_at": None})

    async def command(self, conversation_id: UUID, client_id: str) -> Command | None:
        """Return the accepted command with this idempotency key, or None."""
        row = await self._tx.row(_command, {"conversation": conversation_id, "client": client_id})
        if row is None:
            return None
        conversation, client, kind, *rest = row
        return Command(conversation, client, CommandKind(kind), *rest)

    async def get(self, run_id: UUID) -> Run:
        """Return a run."""
        return self._required(await self._tx.row(_get, {"run_id": run_id}), run_id)

    async def active(self, conversation_id: UUID) -> list[Run]:
        """Return the queued and running runs of a conversation in their order."""
        return [_run(row) for row in await self._tx.rows(_of_conversation, {"conversation": conversation_id})]

    async def position(self, run_id: UUID) -> int:
        """Return how many queued runs stand before this one for the same backend host, in the order of claims."""
        place = await queue_position(self._tx, run_id)
        if place is None:
            await self.get(run_id)
            return 0
        return place

    async def queued(self, backend: str | None = None) -> int:
        """Return how many runs are queued, for one backend or for all."""
        if backend is None:
            return int(await self._tx.value(_queued))
        return int(await self._tx.value(_queued_for, {"backend": backend}))

    async def claim(
        self, *, owner: str, now: datetime, until: datetime, capacity: Mapping[tuple[str, str], int], limit: int
    ) -> list[Run]:
        """Take up to ``limit`` queued runs that may start, and return them as running, in the fair order."""
        chosen = await choose(self._tx, now=now, capacity=capacity, limit=limit)
        if not chosen:
            return []
        rows = await self._tx.rows(_take, {"ids": chosen, "new_owner": owner, "until": until})
        taken = {run.id: run for run in map(_run, rows)}
        return [taken[key] for key in chosen if key in taken]

    async def announce(self, run_id: UUID) -> None:
        """Note that the ``user_message`` event of a run has been given out."""
        if not await self._tx.run(_announce, {"run_id": run_id}):
            raise missing("run", run_id)

    async def heartbeat(self, run_ids: Sequence[UUID], *, owner: str, until: datetime) -> Heartbeat:
        """Renew the leases of runs that the owner is making; tell which it still has, and which are to stop."""
        rows = await self._tx.rows(_heartbeat, {"run_ids": list(run_ids), "holder": owner, "until": until})
        return Heartbeat(frozenset(key for key, _ in rows), frozenset(key for key, stop in rows if stop))

    async def release(self, run_id: UUID, *, owner: str) -> bool:
        """Put a claimed run back into the queue, at its old place."""
        return await self._tx.run(_release, {"run_id": run_id, "holder": owner}) == 1

    async def request_stop(self, run_id: UUID, *, at: datetime, end: bool = True) -> Run | None:
        """Ask the run's owner to stop; with ``end``, a queued run is ended at once, and returned.

        One that has ended stays as it is.
        """
        row = await self._tx.row(_stop_queued, {"run_id": run_id, "at": at}) if end else None
        if row is not None:
            return _run(row)
        if not await self._tx.run(_ask_to_stop, {"run_id": run_id}):
            await self.get(run_id)
        return None

    async def finish(self, run_id: UUID, status: RunStatus, *, owner: str | None, at: datetime) -> bool:
        """End a run; False when it has ended, or another owner has it. The first end stands."""
        values: dict[str, Any] = {"run_id": run_id, "new_status": status.value, "at": at}
        if owner is not None:
            values["holder"] = owner
        if await self._tx.run(_finish[owner is not None], values):
            return True
        await self.get(run_id)
        return False

    async def abandoned(
        self, *, now: datetime, except_owner: str | None, limit: int, known: Collection[UUID] = ()
    ) -> list[Run]:
        """Return running runs whose lease ran out, or all of others, without those that are ``known``.

        In a unit of work that may write they are locked, and those that another process has locked are left out.
        """
        values: dict[str, Any] = {"limit": limit}
        values |= {"now": now} if except_owner is None else {"holder": except_owner}
        statement = _abandoned[except_owner is not None]
        if known:
            statement = statement.where(_unknown)
            values["known"] = list(known)
        if not self._tx.readonly:
            statement = statement.with_for_update(skip_locked=True)
        return [_run(row) for row in await self._tx.rows(statement, values)]

    async def _add_command(self, command: Command) -> None:
        values = {
            "conversation_id": command.conversation_id,
            "client_id": command.client_id,
            "kind": command.kind.value,
            "request_hash": command.request_hash,
            "message_id": command.message_id,
            "answer_id": command.answer_id,
            "run_id": command.run_id,
            "created_at": command.created_at,
        }
        try:
            await self._tx.run(_add_command, values)
        except Conflict as error:
            raise Conflict("This client_id was used in this conversation before; use a new one.") from error

    @staticmethod
    def _required(row: Row | None, run_id: UUID) -> Run:
        if row is None:
            raise missing("run", run_id)
        return _run(row)


def _run(row: Row) -> Run:
    run_id, conversation, user, message, answer, kind, model, backend, host, queued_at, status, *rest = row
    return Run(
        run_id,
        conversation,
        user,
        message,
        answer,
        CommandKind(kind),
        model,
        backend,
        host,
        queued_at,
        RunStatus(status),
        *rest,
    )
