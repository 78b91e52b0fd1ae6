"""Conversations and messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from eudai_core.model import Citation, Conversation, Lease, Message, MessageStatus, Page, Usage

__all__ = ["Conversations", "Messages"]


class Conversations(Protocol):
    """Conversations, and the lease that numbers their events."""

    async def add(self, conversation: Conversation) -> None:
        """Add a conversation; its ``owner_id`` must be the project's."""
        ...

    async def get(self, conversation_id: UUID) -> Conversation:
        """Return a conversation with its owner."""
        ...

    async def lock(self, conversation_id: UUID) -> Conversation:
        """Return a conversation as it is now, and have others who lock or change it wait until this unit ends."""
        ...

    async def many(self, conversation_ids: Sequence[UUID]) -> Mapping[UUID, Conversation]:
        """Return several conversations by id; those that are not there are missing."""
        ...

    async def list(
        self, owner_id: UUID, *, project_id: UUID | None, cursor: str | None, limit: int
    ) -> Page[Conversation]:
        """List conversations by last change, of one project or of all of the owner's."""
        ...

    async def update(self, conversation: Conversation, *, expected_version: int | None) -> Conversation:
        """Store title, model and active message under the next version, and return the result."""
        ...

    async def touch(self, conversation_id: UUID, *, active_message_id: UUID, at: datetime) -> None:
        """Make a message the active leaf and move the conversation to the front of lists; its version stays."""
        ...

    async def delete(self, conversation_id: UUID) -> None:
        """Delete a conversation with its messages, runs, events and context records."""
        ...

    async def lease(
        self, conversation_id: UUID, *, owner: str, now: datetime, until: datetime, headroom: int
    ) -> Lease | None:
        """Take or renew the right to number events; None while another owner's lease runs.

        The ceiling is stored and lies ``headroom`` above the floor; nobody ever gets a number at or below a ceiling
        that somebody else had. An owner that renews keeps counting where it was and only the ceiling moves: the new
        floor is not above the ceiling it had, also when its lease had run out, unless somebody else had one meanwhile.
        """
        ...

    async def void_leases(self, *, except_owner: str) -> None:
        """End the leases of all other owners: only where every other process is known to be dead.

        Their numbers stay theirs.
        """
        ...


class Messages(Protocol):
    """Messages."""

    async def add(self, message: Message) -> None:
        """Add a message."""
        ...

    async def get(self, message_id: UUID) -> Message:
        """Return a message with its siblings."""
        ...

    async def path(self, leaf_id: UUID, *, limit: int) -> Sequence[Message]:
        """Return the last ``limit`` messages of the branch that ends in ``leaf_id``, oldest first, with siblings."""
        ...

    async def save_partial(self, texts: Sequence[tuple[UUID, str, str]]) -> None:
        """Store the text and thinking so far of answers: (message id, text, thinking).

        Those that ended, or are not there any more, are left alone.
        """
        ...

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
        """Store the end of an answer that is pending. One that has ended stays as it is: the first end stands."""
        ...

    async def reopen(self, message_id: UUID) -> None:
        """Make an ended answer pending again, so that a run can continue it. Raises Conflict when it is pending.

        Its texts, usage and citations stay until it ends again; its error goes.
        """
        ...

    async def many(self, message_ids: Sequence[UUID]) -> Mapping[UUID, Message]:
        """Return several messages by id, without siblings; those that are not there are missing."""
        ...

    async def unindexed(self, *, limit: int) -> Sequence[tuple[Message, Conversation]]:
        """Return messages that ended and whose text the search index lacks, oldest first, without siblings."""
        ...

    async def mark_indexed(self, lengths: Mapping[UUID, int]) -> None:
        """Note that the search index has messages' texts of so many code points; a text that grew stays unindexed.

        An answer that ends again, after it was reopened, is unindexed again.
        """
        ...
