"""The event log of conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.model import EventRecord
from eudai_sql.json_rows import key_text
from eudai_sql.repository import Repository
from eudai_sql.tables import events as table
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
