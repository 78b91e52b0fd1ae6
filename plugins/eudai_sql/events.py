"""The event log of conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.model import EventRecord
from eudai_sql.json_rows import key_text
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import ACTIVE, UNTRIMMED, conversations, runs
from eudai_sql.tables import events as table
from eudai_sql.transaction import Row
from eudai_sql.types import dump_json
from eudai_sql.url import Dialect

__all__ = ["SqlEvents"]

_columns: Final = (table.c.conversation_id, table.c.seq, table.c.run_id, table.c.type, table.c.payload)
_after: Final = (
    sa.select(*_columns)
    .where(table.c.conversation_id == sa.bindparam("conversation"), table.c.seq > sa.bindparam("last"))
    .order_by(table.c.seq)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_of_run: Final = sa.select(*_columns).where(table.c.run_id == sa.bindparam("run")).order_by(table.c.seq)
_trimmed: Final = sa.select(conversations.c.trimmed_seq).where(conversations.c.id == sa.bindparam("conversation"))
_keys: Final[sa.BindParameter[Any]] = sa.bindparam("keys", expanding=True)
_logged: Final = table.alias("logged")
_last: Final = (
    sa.select(sa.func.max(_logged.c.seq)).where(_logged.c.run_id == runs.c.id).correlate(runs).scalar_subquery()
)
_unended: Final = runs.alias("unended")
# A run whose events stand before the last one of a due run, and which has not ended, keeps them all.
_kept: Final = (
    sa.select(sa.literal(1))
    .join_from(_unended, table, table.c.run_id == _unended.c.id)
    .where(_unended.c.conversation_id == runs.c.conversation_id, _unended.c.status.in_(ACTIVE), table.c.seq < _last)
    .correlate(runs)
    .exists()
)
_due: Final = (
    sa.select(runs.c.id, runs.c.conversation_id, _last)
    .where(UNTRIMMED, runs.c.finished_at < sa.bindparam("before"), ~_kept)
    .order_by(runs.c.finished_at, runs.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_hold_conversations: Final = (
    sa.select(conversations.c.id)
    .where(conversations.c.id.in_(_keys))
    .order_by(conversations.c.id)
    .with_for_update(key_share=True, skip_locked=True)
)
_hold_runs: Final = sa.select(runs.c.id).where(runs.c.id.in_(_keys), UNTRIMMED).with_for_update(skip_locked=True)
_up_to: Final = (table.c.conversation_id == sa.bindparam("conversation"), table.c.seq <= sa.bindparam("last"))
_first_beyond: Final = (
    sa.select(table.c.seq)
    .where(*_up_to)
    .order_by(table.c.seq)
    .limit(1)
    .offset(sa.bindparam("most", type_=sa.Integer()))
)
_forget: Final = table.delete().where(*_up_to)
_note_trimmed: Final = (
    conversations.update()
    .where(conversations.c.id == sa.bindparam("conversation"), conversations.c.trimmed_seq < sa.bindparam("last"))
    .values(trimmed_seq=sa.bindparam("last"))
)
_set_trimmed: Final = runs.update().where(runs.c.id.in_(_keys)).values(trimmed=True)
_AT_ONCE: Final = 2000
"""Events forgotten by one transaction: few enough to let others write in between on SQLite."""
# One statement whatever the number of rows, so that it is prepared once.
_append: Final[Mapping[Dialect, sa.TextClause]] = {
    "postgresql": sa.text(
        "insert into events (conversation_id, seq, run_id, type, payload) select c, s, r, t, p "
        "from json_to_recordset(cast(:rows as json)) as given (c uuid, s bigint, r uuid, t text, p jsonb) "
        "on conflict do nothing"
    ),
    "sqlite": sa.text(
        "insert into events (conversation_id, seq, run_id, type, payload) "
        "select json_extract(value, '$.c'), json_extract(value, '$.s'), json_extract(value, '$.r'), "
        "json_extract(value, '$.t'), json_extract(value, '$.p') from json_each(:rows) "
        "where true on conflict do nothing"
    ),
}


class SqlEvents(Repository):
    """See eudai_core.contracts.Events."""

    __slots__ = ()

    async def append(self, events: Sequence[EventRecord]) -> None:
        """Store events of any number of conversations, in one statement; numbers stored already are left alone."""
        if not events:
            return
        rows = [
            {
                "c": key_text(event.conversation_id),
                "s": event.seq,
                "r": None if event.run_id is None else key_text(event.run_id),
                "t": event.type,
                "p": event.payload,
            }
            for event in events
        ]
        await self._tx.run(_append[self._tx.dialect], {"rows": dump_json(rows)})

    async def after(self, conversation_id: UUID, seq: int, *, limit: int) -> list[EventRecord]:
        """Return the events numbered above ``seq``, in order."""
        values: dict[str, Any] = {"conversation": conversation_id, "last": seq, "limit": limit}
        return [EventRecord(*row) for row in await self._tx.rows(_after, values)]

    async def of_run(self, run_id: UUID) -> list[EventRecord]:
        """Return every event of a run, in order."""
        return [EventRecord(*row) for row in await self._tx.rows(_of_run, {"run": run_id})]

    async def trim(self, *, ended_before: datetime, limit: int) -> int:
        """Forget the events of runs that ended before a time, with all numbered before them; return of how many runs.

        Whoever deletes a conversation holds it before its runs, and so does this; what others hold is left to a later
        time, and so is what is too much for one transaction.
        """
        due = await self._held(await self._tx.rows(_due, {"before": ended_before, "limit": limit}))
        lasts: dict[UUID, int] = {}
        for _, conversation, last in due:
            lasts[conversation] = max(last or 0, lasts.get(conversation, 0))
        reached: dict[UUID, int] = {}
        left = _AT_ONCE
        for conversation, last in sorted(lasts.items()):
            if left:
                reached[conversation], count = await self._forget(conversation, last, left)
                left -= count
        if reached:
            noted = [{"conversation": key, "last": last} for key, last in reached.items()]
            await self._tx.run(_note_trimmed, noted)
        done = [run for run, conversation, last in due if (last or 0) <= reached.get(conversation, -1)]
        if done:
            await self._tx.run(_set_trimmed, {"keys": done})
        # What was begun and not ended counts as one more, so that the caller comes back for the rest.
        return len(done) + (left == 0 and len(done) < len(due))

    async def _held(self, due: Sequence[Row]) -> list[Row]:
        """Hold the conversations of runs, and the runs; return those that can be held and are due still."""
        if not due:
            return []
        wanted = sorted({conversation for _, conversation, _ in due})
        held = {row[0] for row in await self._tx.rows(_hold_conversations, {"keys": wanted})}
        runs_of = [run for run, conversation, _ in due if conversation in held]
        still = {row[0] for row in await self._tx.rows(_hold_runs, {"keys": runs_of})} if runs_of else set()
        return [row for row in due if row[0] in still]

    async def _forget(self, conversation_id: UUID, last: int, most: int) -> tuple[int, int]:
        """Forget up to ``most`` events numbered up to ``last``; return the number reached, and how many there were."""
        values: dict[str, Any] = {"conversation": conversation_id, "last": last}
        beyond = await self._tx.value(_first_beyond, values | {"most": most})
        if beyond is not None:
            values["last"] = last = beyond - 1
        return last, await self._tx.run(_forget, values, slow=True)

    async def trimmed(self, conversation_id: UUID) -> int:
        """Return the number up to which the log of a conversation was trimmed."""
        number: int | None = await self._tx.value(_trimmed, {"conversation": conversation_id})
        if number is None:
            raise missing("conversation", conversation_id)
        return number
