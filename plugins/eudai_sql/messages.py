"""Messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import Conflict
from eudai_core.model import Citation, Conversation, Message, MessageStatus, Sender, Usage
from eudai_sql.conversations import CONVERSATION_COLUMNS
from eudai_sql.json_rows import key_text, rows_source
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import ROOTS, UNINDEXED, conversations
from eudai_sql.tables import messages as table
from eudai_sql.transaction import Row
from eudai_sql.types import dump_json
from eudai_sql.url import Dialect

__all__ = ["SqlMessages"]

_columns: Final = (
    table.c.id,
    table.c.conversation_id,
    table.c.parent_id,
    table.c.sender,
    table.c.text,
    table.c.timestamp,
    table.c.status,
    table.c.thinking,
    table.c.model,
    table.c.usage,
    table.c.citations,
    table.c.error,
    table.c.client_id,
)
_this: Final = table.c.id == sa.bindparam("message_id")
_pending: Final = table.c.status == MessageStatus.PENDING.value
_add: Final = table.insert()
_exists: Final = sa.select(table.c.id).where(_this)
_get: Final = sa.select(*_columns).where(_this)
_finish: Final = (
    table.update()
    .where(_this, _pending)
    .values(
        text=sa.bindparam("new_text"),
        thinking=sa.bindparam("new_thinking"),
        status=sa.bindparam("new_status"),
        usage=sa.bindparam("new_usage"),
        citations=sa.bindparam("new_citations"),
        error=sa.bindparam("new_error"),
        indexed=False,
    )
)
_reopen: Final = table.update().where(_this, ~_pending).values(status=MessageStatus.PENDING.value, error=None)
_many: Final = sa.select(*_columns).where(table.c.id.in_(sa.bindparam("message_ids", expanding=True)))
_unindexed: Final = (
    sa.select(*_columns, *CONVERSATION_COLUMNS)
    .join_from(table, conversations, conversations.c.id == table.c.conversation_id)
    .where(UNINDEXED)
    .order_by(table.c.id)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_mark_indexed: Final = (
    table.update()
    .where(_this, UNINDEXED, sa.func.length(table.c.text) == sa.bindparam("characters", type_=sa.Integer()))
    .values(indexed=True)
)


def _path_statement() -> sa.Select[Any]:
    first = sa.select(table.c.id, table.c.parent_id, sa.literal_column("1").label("depth")).where(
        table.c.id == sa.bindparam("leaf")
    )
    path = first.cte("path", recursive=True)
    path = path.union_all(
        sa.select(table.c.id, table.c.parent_id, path.c.depth + 1)
        .join_from(path, table, table.c.id == path.c.parent_id)
        .where(path.c.depth < sa.bindparam("limit", type_=sa.Integer()))
    )
    return sa.select(*_columns).join_from(path, table, table.c.id == path.c.id).order_by(path.c.depth.desc())


_path: Final = _path_statement()
_siblings: Final = (
    sa.select(table.c.parent_id, table.c.id)
    .where(table.c.parent_id.in_(sa.bindparam("parents", expanding=True)))
    .order_by(table.c.timestamp, table.c.id)
)
# The conversation as a subquery: of one that PostgreSQL knows to be long it thinks that many messages are first ones,
# and then it reads the whole table.
_roots: Final = (
    sa.select(table.c.parent_id, table.c.id)
    .where(table.c.conversation_id == sa.select(sa.bindparam("conversation", type_=sa.Uuid())).scalar_subquery(), ROOTS)
    .order_by(table.c.timestamp, table.c.id)
)


def _save_statement(dialect: Dialect) -> sa.TextClause:
    given = rows_source(dialect, "answers", {"id": "id", "text": "text", "thinking": "text"})
    return sa.text(
        f"update messages set text = given.text, thinking = given.thinking from {given} "  # noqa: S608 -- no user's text
        "where messages.id = given.id and messages.status = 'pending'"
    )


_save: Final[Mapping[Dialect, sa.TextClause]] = {
    "postgresql": _save_statement("postgresql"),
    "sqlite": _save_statement("sqlite"),
}


class SqlMessages(Repository):
    """See eudai_core.contracts.Messages."""

    __slots__ = ()

    async def add(self, message: Message) -> None:
        """Add a message."""
        values = {column.name: getattr(message, column.name) for column in _columns}
        values |= {
            "sender": message.sender.value,
            "status": message.status.value,
            "usage": None if message.usage is None else asdict(message.usage),
            "citations": [asdict(citation) for citation in message.citations],
        }
        await self._tx.run(_add, values)

    async def get(self, message_id: UUID) -> Message:
        """Return a message with its siblings."""
        row = await self._tx.row(_get, {"message_id": message_id})
        if row is None:
            raise missing("message", message_id)
        return (await self._with_siblings([row]))[0]

    async def path(self, leaf_id: UUID, *, limit: int) -> list[Message]:
        """Return the last ``limit`` messages of the branch that ends in ``leaf_id``, oldest first, with siblings."""
        rows = await self._tx.rows(_path, {"leaf": leaf_id, "limit": limit})
        if not rows:
            raise missing("message", leaf_id)
        return await self._with_siblings(rows)

    async def save_partial(self, texts: Sequence[tuple[UUID, str, str]]) -> None:
        """Store the text and thinking so far of answers that are being made; ended ones stay as they are."""
        if not texts:
            return
        rows = [{"id": key_text(key), "text": text, "thinking": thinking} for key, text, thinking in texts]
        await self._tx.run(_save[self._tx.dialect], {"answers": dump_json(rows)})

    async def finish(
        self,
        message_id: UUID,
        *,
        text: str,
        thinking: str,
        status: MessageStatus,
        usage: Usage | None = None,
        citations: Sequence[Citation] = (),
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """Store the end of an answer. Only a pending one can end: the first end stands."""
        values = {
            "message_id": message_id,
            "new_text": text,
            "new_thinking": thinking,
            "new_status": status.value,
            "new_usage": None if usage is None else asdict(usage),
            "new_citations": [asdict(citation) for citation in citations],
            "new_error": error,
        }
        if not await self._tx.run(_finish, values):
            await self._must_exist(message_id)

    async def reopen(self, message_id: UUID) -> None:
        """Make an ended answer pending again, so that a run can continue it."""
        if not await self._tx.run(_reopen, {"message_id": message_id}):
            await self._must_exist(message_id)
            raise Conflict("This answer is being made already.")

    async def many(self, message_ids: Sequence[UUID]) -> dict[UUID, Message]:
        """Return several messages by id, without siblings."""
        if not message_ids:
            return {}
        rows = await self._tx.rows(_many, {"message_ids": list(message_ids)})
        return {row.id: _message(row, ()) for row in rows}

    async def unindexed(self, *, limit: int) -> list[tuple[Message, Conversation]]:
        """Return messages that ended and whose text the search index lacks, oldest first, without siblings."""
        rows = await self._tx.rows(_unindexed, {"limit": limit})
        width = len(_columns)
        return [(_message(row[:width], ()), Conversation(*row[width:])) for row in rows]

    async def mark_indexed(self, lengths: Mapping[UUID, int]) -> None:
        """Note that the search index has messages' texts of so many code points; a text that grew stays unindexed."""
        rows = [{"message_id": key, "characters": lengths[key]} for key in sorted(lengths)]
        if rows:
            await self._tx.run(_mark_indexed, rows)

    async def _must_exist(self, message_id: UUID) -> None:
        if await self._tx.row(_exists, {"message_id": message_id}) is None:
            raise missing("message", message_id)

    async def _with_siblings(self, rows: Sequence[Row]) -> list[Message]:
        """Make values of rows, with the ids of all versions that have the same parent, in one or two statements."""
        siblings: dict[UUID | None, list[UUID]] = defaultdict(list)
        parents = [row.parent_id for row in rows if row.parent_id is not None]
        if parents:
            for parent, key in await self._tx.rows(_siblings, {"parents": parents}):
                siblings[parent].append(key)
        if len(parents) < len(rows):
            for parent, key in await self._tx.rows(_roots, {"conversation": rows[0].conversation_id}):
                siblings[parent].append(key)
        return [_message(row, siblings[row.parent_id]) for row in rows]


def _message(row: Sequence[Any], siblings: Sequence[UUID]) -> Message:
    key, conversation_id, parent_id, sender, text, timestamp, status, thinking, model, usage, citations, *rest = row
    error, client_id = rest
    return Message(
        id=key,
        conversation_id=conversation_id,
        parent_id=parent_id,
        sender=Sender(sender),
        text=text,
        timestamp=timestamp,
        status=MessageStatus(status),
        thinking=thinking,
        model=model,
        usage=None if usage is None else Usage(**usage),
        citations=[Citation(**citation) for citation in citations],
        error=error,
        client_id=client_id,
        siblings=siblings,
    )
