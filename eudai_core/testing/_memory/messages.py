"""Messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from eudai_core.errors import Conflict
from eudai_core.model import Citation, Conversation, Message, MessageStatus, Usage
from eudai_core.testing._memory.conversations import numbered
from eudai_core.testing._memory.state import State
from eudai_core.testing._memory.transaction import Repository
from eudai_core.testing._memory.values import insert, kept, required

__all__ = ["MemoryMessages"]


class MemoryMessages(Repository):
    """See eudai_core.contracts.Messages."""

    __slots__ = ()

    async def add(self, message: Message) -> None:
        """Add a message."""
        state = await self._tx.writing()
        required(state.conversations, message.conversation_id, "conversation")
        if message.parent_id is not None:
            required(state.messages, message.parent_id, "message")
        insert(state.messages, message.id, replace(message, siblings=()), "message")

    async def get(self, message_id: UUID) -> Message:
        """Return a message with its siblings."""
        state = await self._tx.reading()
        return _with_siblings(state, required(state.messages, message_id, "message"))

    async def path(self, leaf_id: UUID, *, limit: int) -> Sequence[Message]:
        """Return the last ``limit`` messages of the branch that ends in ``leaf_id``, oldest first, with siblings."""
        state = await self._tx.reading()
        found = [required(state.messages, leaf_id, "message")]
        while len(found) < limit and (parent := found[-1].parent_id) is not None:
            found.append(state.messages[parent])
        return [_with_siblings(state, message) for message in reversed(found)]

    async def save_partial(self, texts: Sequence[tuple[UUID, str, str]]) -> None:
        """Store the text and thinking so far of answers that are being made; others are left alone."""
        rows = (await self._tx.writing()).messages
        for key, text, thinking in kept(texts):
            if (message := rows.get(key)) is not None and message.status is MessageStatus.PENDING:
                rows[key] = replace(message, text=text, thinking=thinking)

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
        state = await self._tx.writing()
        message = required(state.messages, message_id, "message")
        if message.status is not MessageStatus.PENDING:
            return
        state.messages[message_id] = kept(
            replace(message, text=text, thinking=thinking, status=status, usage=usage, citations=citations, error=error)
        )
        state.indexed.pop(message_id, None)

    async def reopen(self, message_id: UUID) -> None:
        """Make an ended answer pending again, so that a run can continue it."""
        rows = (await self._tx.writing()).messages
        message = required(rows, message_id, "message")
        if message.status is MessageStatus.PENDING:
            raise Conflict("This answer is being made already.")
        rows[message_id] = replace(message, status=MessageStatus.PENDING, error=None)

    async def many(self, message_ids: Sequence[UUID]) -> Mapping[UUID, Message]:
        """Return several messages by id, without siblings; those that are not there are missing."""
        rows = (await self._tx.reading()).messages
        return {key: rows[key] for key in message_ids if key in rows}

    async def unindexed(self, *, limit: int) -> Sequence[tuple[Message, Conversation]]:
        """Return messages that ended and whose text the search index lacks, oldest first, without siblings."""
        state = await self._tx.reading()
        found = (
            message
            for key, message in state.messages.items()
            if key not in state.indexed and message.status is not MessageStatus.PENDING
        )
        oldest = sorted(found, key=lambda message: message.id)[:limit]
        return [(message, numbered(state, state.conversations[message.conversation_id])) for message in oldest]

    async def mark_indexed(self, lengths: Mapping[UUID, int]) -> None:
        """Note that the search index has messages' texts of so many code points; a text that grew stays unindexed."""
        state = await self._tx.writing()
        for key, length in lengths.items():
            message = state.messages.get(key)
            if message is not None and message.status is not MessageStatus.PENDING and len(message.text) == length:
                state.indexed[key] = None


def _with_siblings(state: State, message: Message) -> Message:
    same = (
        other
        for other in state.messages.values()
        if (other.conversation_id, other.parent_id) == (message.conversation_id, message.parent_id)
    )
    oldest = sorted(same, key=lambda other: (other.timestamp, other.id))
    return kept(replace(message, siblings=tuple(other.id for other in oldest)))
