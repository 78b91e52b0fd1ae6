"""Conversations, and the lease that numbers their events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import StaleVersion
from eudai_core.model import Conversation, Lease, Page
from eudai_sql import keyset
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import conversations as table
from eudai_sql.tables import events, projects
from eudai_sql.texts import erase_texts

__all__ = ["CONVERSATION_COLUMNS", "SqlConversations"]

_integer: Final = sa.Integer()
# The last number in the log; where the log is empty, the one up to which it was trimmed.
_last_seq: Final = sa.func.coalesce(
    sa.select(sa.func.max(events.c.seq))
    .where(events.c.conversation_id == table.c.id)
    .correlate(table)
    .scalar_subquery(),
    table.c.trimmed_seq,
)
CONVERSATION_COLUMNS: Final = (
    table.c.id,
    table.c.project_id,
    table.c.owner_id,
    table.c.title,
    table.c.created_at,
    table.c.updated_at,
    table.c.model,
    table.c.active_message_id,
    _last_seq,
    table.c.version,
)
"""The columns in the order of the fields of Conversation."""

_select: Final = sa.select(*CONVERSATION_COLUMNS)
_this: Final = table.c.id == sa.bindparam("conversation_id")
_get: Final = _select.where(_this)
_lock: Final = _get.with_for_update(of=table, key_share=True)
_many: Final = _select.where(table.c.id.in_(sa.bindparam("conversation_ids", expanding=True)))
_exists: Final = sa.select(table.c.id).where(_this)
_of_owner: Final = (
    _select.where(table.c.owner_id == sa.bindparam("owner"))
    .order_by(table.c.updated_at.desc(), table.c.id.desc())
    .limit(sa.bindparam("limit", type_=_integer))
)
# A project's owner is that of its conversations: asked once, so that no database takes the index by owner for it.
_owns_project: Final = sa.exists().where(
    projects.c.id == sa.bindparam("project"), projects.c.owner_id == sa.bindparam("owner")
)
_of_project: Final = (
    _select.where(table.c.project_id == sa.bindparam("project"), _owns_project)
    .order_by(table.c.updated_at.desc(), table.c.id.desc())
    .limit(sa.bindparam("limit", type_=_integer))
)
_cursor: Final = keyset.after(table.c.updated_at, table.c.id)
# By (within one project, after a cursor).
_pages: Final = {
    (False, False): _of_owner,
    (False, True): _of_owner.where(_cursor),
    (True, False): _of_project,
    (True, True): _of_project.where(_cursor),
}
_add: Final = table.insert()
_expected: Final = sa.bindparam("expected", type_=_integer)
_update: Final = (
    table.update()
    .where(_this, sa.or_(_expected.is_(None), table.c.version == _expected))
    .values(
        title=sa.bindparam("new_title"),
        model=sa.bindparam("new_model"),
        active_message_id=sa.bindparam("new_active"),
        updated_at=sa.bindparam("at"),
        version=table.c.version + 1,
    )
)
_touch: Final = (
    table.update().where(_this).values(active_message_id=sa.bindparam("new_active"), updated_at=sa.bindparam("at"))
)
_delete: Final = table.delete().where(_this)
_count_one_more: Final = (
    projects.update()
    .where(projects.c.id == sa.bindparam("in_project"))
    .values(conversation_count=projects.c.conversation_count + 1)
)
_count_one_less: Final = (
    projects.update()
    .where(projects.c.id == sa.select(table.c.project_id).where(_this).scalar_subquery())
    .values(conversation_count=projects.c.conversation_count - 1)
)
_headroom: Final = sa.bindparam("headroom", type_=sa.BigInteger())
_void: Final = (
    table.update().where(table.c.lease_owner != sa.bindparam("holder")).values(lease_owner=None, lease_until=None)
)
_lease: Final = (
    table.update()
    .where(
        _this,
        sa.or_(
            table.c.lease_owner.is_(None),
            table.c.lease_owner == sa.bindparam("holder"),
            table.c.lease_until <= sa.bindparam("now"),
        ),
    )
    .values(
        lease_owner=sa.bindparam("holder"),
        lease_until=sa.bindparam("until"),
        next_seq=table.c.next_seq + _headroom,
    )
    .returning(table.c.next_seq)
)


class SqlConversations(Repository):
    """See eudai_core.contracts.Conversations."""

    __slots__ = ()

    async def add(self, conversation: Conversation) -> None:
        """Add a conversation."""
        values = {
            "id": conversation.id,
            "project_id": conversation.project_id,
            "owner_id": conversation.owner_id,
            "title": conversation.title,
            "model": conversation.model,
            "active_message_id": conversation.active_message_id,
            "next_seq": conversation.seq,
            "lease_owner": None,
            "lease_until": None,
            "version": conversation.version,
            "created_at": conversation.created_at,
            "updated_at": conversation.updated_at,
        }
        # The project first, as whoever deletes it does. The new row refers to its owner too, and the database says in
        # which order it looks at the two: deleting the owner takes both.
        if not await self._tx.run(_count_one_more, {"in_project": conversation.project_id}):
            raise missing("project", conversation.project_id)
        await self._tx.run(_add, values)

    async def get(self, conversation_id: UUID) -> Conversation:
        """Return a conversation with its owner."""
        row = await self._tx.row(_get, {"conversation_id": conversation_id})
        if row is None:
            raise missing("conversation", conversation_id)
        return Conversation(*row)

    async def lock(self, conversation_id: UUID) -> Conversation:
        """Return a conversation as it is now, and have others who lock or change it wait until this unit ends.

        On SQLite there is one writer, and so nothing to lock.
        """
        row = await self._tx.row(_lock, {"conversation_id": conversation_id})
        if row is None:
            raise missing("conversation", conversation_id)
        return Conversation(*row)

    async def many(self, conversation_ids: Sequence[UUID]) -> dict[UUID, Conversation]:
        """Return several conversations by id."""
        if not conversation_ids:
            return {}
        rows = await self._tx.rows(_many, {"conversation_ids": [*conversation_ids]})
        return {row[0]: Conversation(*row) for row in rows}

    async def list(
        self, owner_id: UUID, *, project_id: UUID | None, cursor: str | None, limit: int
    ) -> Page[Conversation]:
        """List conversations by last change, of one project or of all of the owner's."""
        values: dict[str, Any] = {"owner": owner_id, "limit": limit + 1}
        if project_id is not None:
            values["project"] = project_id
        if cursor is not None:
            values |= keyset.position(cursor)
        statement = _pages[project_id is not None, cursor is not None]
        found = [Conversation(*row) for row in await self._tx.rows(statement, values)]
        return keyset.page(found, limit, lambda conversation: (conversation.updated_at, conversation.id))

    async def update(self, conversation: Conversation, *, expected_version: int | None) -> Conversation:
        """Store title, model and active message under the next version, and return the result."""
        values = {
            "conversation_id": conversation.id,
            "expected": expected_version,
            "new_title": conversation.title,
            "new_model": conversation.model,
            "new_active": conversation.active_message_id,
            "at": conversation.updated_at,
        }
        touched = await self._tx.run(_update, values)
        stored = await self.get(conversation.id)
        if not touched:
            raise StaleVersion(f"The conversation was changed meanwhile: it is at version {stored.version} now.")
        return stored

    async def touch(self, conversation_id: UUID, *, active_message_id: UUID, at: datetime) -> None:
        """Make a message the active leaf and move the conversation to the front of lists."""
        values = {"conversation_id": conversation_id, "new_active": active_message_id, "at": at}
        if not await self._tx.run(_touch, values):
            raise missing("conversation", conversation_id)

    async def delete(self, conversation_id: UUID) -> None:
        """Delete a conversation with its messages, runs, events, context records and their texts."""
        key = {"conversation_id": conversation_id}
        # The project first, as whoever deletes it does: two that wait for each other would both fail.
        if not (await self._tx.run(_count_one_less, key) and await self._tx.run(_delete, key, slow=True)):
            raise missing("conversation", conversation_id)
        await erase_texts(self._tx, [conversation_id])

    async def lease(
        self, conversation_id: UUID, *, owner: str, now: datetime, until: datetime, headroom: int
    ) -> Lease | None:
        """Take or renew the right to number events; None while another owner's lease runs.

        ``next_seq`` is the highest ceiling ever given out. Every lease, also a renewed one, gets the numbers above it,
        so no two leases share a number, whatever their holders remember. A holder that renews may still use what is
        left below its floor: those numbers were its own.
        """
        values = {"conversation_id": conversation_id, "holder": owner, "now": now, "until": until, "headroom": headroom}
        ceiling = await self._tx.value(_lease, values)
        if ceiling is not None:
            return Lease(conversation_id, ceiling - headroom, ceiling)
        if await self._tx.row(_exists, {"conversation_id": conversation_id}) is None:
            raise missing("conversation", conversation_id)
        return None

    async def void_leases(self, *, except_owner: str) -> None:
        """End the leases of all other owners; what they gave out stays below ``next_seq``."""
        await self._tx.run(_void, {"holder": except_owner})
