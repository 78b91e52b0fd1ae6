"""Conversations, and the lease that numbers their events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from eudai_core.errors import StaleVersion
from eudai_core.model import Conversation, Lease, Page
from eudai_core.testing._memory.owned import drop_conversations
from eudai_core.testing._memory.paging import page
from eudai_core.testing._memory.state import Numbering, State
from eudai_core.testing._memory.transaction import Repository
from eudai_core.testing._memory.values import insert, kept, required

__all__ = ["MemoryConversations", "numbered"]


class MemoryConversations(Repository):
    """See eudai_core.contracts.Conversations."""

    __slots__ = ()

    async def add(self, conversation: Conversation) -> None:
        """Add a conversation."""
        state = await self._tx.writing()
        required(state.projects, conversation.project_id, "project")
        insert(state.conversations, conversation.id, conversation, "conversation")
        state.numbering[conversation.id] = Numbering()

    async def get(self, conversation_id: UUID) -> Conversation:
        """Return a conversation with its owner."""
        state = await self._tx.reading()
        return numbered(state, required(state.conversations, conversation_id, "conversation"))

    async def lock(self, conversation_id: UUID) -> Conversation:
        """Return a conversation as it is now; others who change anything wait until this unit ends."""
        state = await self._tx.writing()
        return numbered(state, required(state.conversations, conversation_id, "conversation"))

    async def many(self, conversation_ids: Sequence[UUID]) -> Mapping[UUID, Conversation]:
        """Return several conversations by id; those that are not there are missing."""
        state = await self._tx.reading()
        rows = state.conversations
        return {key: numbered(state, rows[key]) for key in conversation_ids if key in rows}

    async def list(
        self, owner_id: UUID, *, project_id: UUID | None, cursor: str | None, limit: int
    ) -> Page[Conversation]:
        """List conversations by last change, of one project or of all of the owner's."""
        state = await self._tx.reading()
        mine = (
            row
            for row in state.conversations.values()
            if row.owner_id == owner_id and project_id in {None, row.project_id}
        )
        found = page(mine, lambda row: (row.updated_at, row.id), cursor=cursor, limit=limit)
        return Page([numbered(state, row) for row in found.items], found.next)

    async def update(self, conversation: Conversation, *, expected_version: int | None) -> Conversation:
        """Store title, model and active message under the next version, and return the result."""
        state = await self._tx.writing()
        stored = required(state.conversations, conversation.id, "conversation")
        if expected_version is not None and expected_version != stored.version:
            raise StaleVersion(f"The conversation was changed meanwhile: it is at version {stored.version} now.")
        changed = replace(
            stored,
            title=conversation.title,
            model=conversation.model,
            active_message_id=conversation.active_message_id,
            updated_at=conversation.updated_at,
            version=stored.version + 1,
        )
        state.conversations[conversation.id] = kept(changed)
        return numbered(state, state.conversations[conversation.id])

    async def touch(self, conversation_id: UUID, *, active_message_id: UUID, at: datetime) -> None:
        """Make a message the active leaf and move the conversation to the front of lists."""
        rows = (await self._tx.writing()).conversations
        stored = required(rows, conversation_id, "conversation")
        rows[conversation_id] = kept(replace(stored, active_message_id=active_message_id, updated_at=at))

    async def delete(self, conversation_id: UUID) -> None:
        """Delete a conversation with its messages, runs, events and context records."""
        state = await self._tx.writing()
        required(state.conversations, conversation_id, "conversation")
        drop_conversations(state, [conversation_id])

    async def lease(
        self, conversation_id: UUID, *, owner: str, now: datetime, until: datetime, headroom: int
    ) -> Lease | None:
        """Take or renew the right to number events; None while another owner's lease runs."""
        rows = (await self._tx.writing()).numbering
        row = required(rows, conversation_id, "conversation")
        if row.owner not in {None, owner} and row.until is not None and row.until > now:
            return None
        rows[conversation_id] = replace(row, owner=owner, until=until, ceiling=row.ceiling + headroom)
        return Lease(conversation_id, row.ceiling, row.ceiling + headroom)

    async def void_leases(self, *, except_owner: str) -> None:
        """End the leases of all other owners."""
        state = await self._tx.writing()
        state.numbering = {
            key: row if row.owner == except_owner else replace(row, owner=None, until=None)
            for key, row in state.numbering.items()
        }


def numbered(state: State, conversation: Conversation) -> Conversation:
    """Return a conversation with its last number: that of the log, else the one up to which it was trimmed."""
    logged = (seq for key, seq in state.events if key == conversation.id)
    return replace(conversation, seq=max(logged, default=state.numbering[conversation.id].trimmed))
