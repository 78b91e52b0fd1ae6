"""What requests under idempotency keys were answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from eudai_core.model import StoredAnswer
from eudai_sql.repository import Repository
from eudai_sql.tables import idempotency_keys as table

__all__ = ["SqlAnswers"]

_columns: Final = (table.c.request_hash, table.c.begun_at, table.c.status, table.c.headers, table.c.body)
_this: Final = (table.c.user_id == sa.bindparam("of_user"), table.c.key == sa.bindparam("of_key"))
_unanswered: Final = table.c.status.is_(None)
_get: Final = sa.select(*_columns).where(*_this)
_new: Final = insert(table)
# Of several callers the database lets one insert the row, or take it over; the others find it changed.
_begin: Final = _new.on_conflict_do_update(
    index_elements=[table.c.user_id, table.c.key],
    set_={column.name: _new.excluded[column.name] for column in _columns},
    where=sa.and_(_unanswered, table.c.begun_at < sa.bindparam("stale_before", type_=table.c.begun_at.type)),
).returning(table.c.key)
_finish: Final = (
    table.update()
    .where(*_this, _unanswered)
    .values(
        request_hash=sa.bindparam("new_hash"),
        status=sa.bindparam("new_status"),
        headers=sa.bindparam("new_headers"),
        body=sa.bindparam("new_body"),
    )
)
_drop: Final = table.delete().where(*_this, _unanswered)
_forget: Final = table.delete().where(
    sa.tuple_(table.c.user_id, table.c.key).in_(
        sa.select(table.c.user_id, table.c.key)
        .where(table.c.begun_at < sa.bindparam("before"))
        .with_for_update(skip_locked=True)
    )
)


class SqlAnswers(Repository):
    """See eudai_core.contracts.Answers."""

    __slots__ = ()

    async def begin(
        self, user_id: UUID, key: str, answer: StoredAnswer, *, stale_before: datetime
    ) -> StoredAnswer | None:
        """Take a key for a request, and return None; or return what is kept under it."""
        row: dict[str, Any] = {column.name: getattr(answer, column.name) for column in _columns}
        values = row | {"user_id": user_id, "key": key, "stale_before": stale_before}
        while not await self._tx.rows(_begin, values):
            kept = await self._tx.row(_get, {"of_user": user_id, "of_key": key})
            if kept is not None:
                return StoredAnswer(*kept)
            # Somebody gave the key back between the two statements: it is free.
        return None

    async def finish(self, user_id: UUID, key: str, answer: StoredAnswer) -> None:
        """Keep the answer of a request that was begun; an answer that is there already stays."""
        values = {
            "of_user": user_id,
            "of_key": key,
            "new_hash": answer.request_hash,
            "new_status": answer.status,
            "new_headers": answer.headers,
            "new_body": answer.body,
        }
        await self._tx.run(_finish, values)

    async def drop(self, user_id: UUID, key: str) -> None:
        """Give a key back; an answer that is there already stays."""
        await self._tx.run(_drop, {"of_user": user_id, "of_key": key})

    async def forget(self, *, begun_before: datetime) -> int:
        """Forget the answers to requests that began before a time; return how many."""
        return await self._tx.run(_forget, {"before": begun_before}, slow=True)
