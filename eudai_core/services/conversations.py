"""Conversations and their messages, as readers and owners see them; the chat engine makes the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from eudai_core.context import context_report
from eudai_core.contracts import Clock, Exporter, Storage
from eudai_core.errors import FieldError, InvalidInput
from eudai_core.ids import new_id
from eudai_core.model import Conversation, Identity, Message, Page, ResourceRef, Scope, Sender
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import EXPORTERS
from eudai_core.search import SearchRemoval
from eudai_core.services.access import Access, check_scope, missing
from eudai_core.services.fields import check_limit, check_model, check_text
from eudai_core.services.notices import Notices
from eudai_core.services.projects import Projects

__all__ = ["Conversations"]

TITLE_LENGTH: Final = 200
EXPORT_LIMIT: Final = 100_000


class Conversations:
    """Create, read, change and delete conversations."""

    def __init__(
        self,
        host: PluginHost,
        storage: Storage,
        access: Access,
        projects: Projects,
        clock: Clock,
        notices: Notices,
        removal: SearchRemoval,
    ) -> None:
        self._host = host
        self._storage = storage
        self._access = access
        self._projects = projects
        self._clock = clock
        self._notices = notices
        self._removal = removal

    async def create(
        self, identity: Identity, project_id: UUID, *, title: str | None = None, model: str | None = None
    ) -> Conversation:
        """Create a conversation; without a title it takes the first words of its first question."""
        project = await self._projects.get(identity, project_id, action="write")
        now = self._clock.now()
        conversation = Conversation(
            id=new_id(),
            project_id=project_id,
            owner_id=project.owner_id,
            title=check_text("$.title", title or "", longest=TITLE_LENGTH),
            created_at=now,
            updated_at=now,
            model=check_model("$.model", model),
        )
        async with self._storage.unit_of_work() as unit:
            await unit.conversations.add(conversation)
            await unit.commit()
        self._notices.tell("conversation", "created", identity.user_id, conversation.id)
        return conversation

    async def get(
        self, identity: Identity, conversation_id: UUID, *, project_id: UUID | None = None, action: str = "read"
    ) -> Conversation:
        """Return a conversation that the caller may use; with ``project_id`` it must be that project's."""
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            conversation = await unit.conversations.get(conversation_id)
        if project_id is not None and conversation.project_id != project_id:
            raise missing("conversation", conversation_id)
        resource = ResourceRef("conversation", conversation_id, conversation.owner_id)
        await self._access.check(identity, action, resource)
        return conversation

    async def list(
        self, identity: Identity, *, project_id: UUID | None = None, cursor: str | None = None, limit: int = 50
    ) -> Page[Conversation]:
        """List conversations by last change, of a project or all of the caller's."""
        check_scope(identity, Scope.READ)
        if project_id is not None:
            await self._projects.get(identity, project_id)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.conversations.list(
                identity.user_id, project_id=project_id, cursor=cursor, limit=check_limit(limit)
            )

    async def messages(
        self, identity: Identity, conversation: Conversation, *, before: UUID | None = None, limit: int = 50
    ) -> tuple[Sequence[Message], UUID | None]:
        """Return a page of the active path, oldest first, ending before the message ``before`` (None: at its leaf).

        The second value is the ``before`` of the page of older messages, or None when this page holds the first one.
        """
        check_limit(limit)
        async with self._storage.unit_of_work(readonly=True) as unit:
            leaf = conversation.active_message_id
            if before is not None:
                edge = await unit.messages.get(before)
                if edge.conversation_id != conversation.id:
                    raise missing("message", before)
                leaf = edge.parent_id
            path = await unit.messages.path(leaf, limit=limit) if leaf is not None else ()
        more = path[0].id if path and path[0].parent_id is not None else None
        return path, more

    async def update(
        self,
        identity: Identity,
        conversation_id: UUID,
        *,
        title: str | None = None,
        model: str | None = None,
        active_message_id: UUID | None = None,
        expected_version: int | None = None,
    ) -> Conversation:
        """Rename, choose another model, or show another branch; what is None stays.

        Raises:
            StaleVersion: ``expected_version`` is not the stored one.
            InvalidInput: ``active_message_id`` is no answer.
        """
        await self.get(identity, conversation_id, action="write")
        changes: dict[str, Any] = {"updated_at": self._clock.now()}
        if title is not None:
            changes["title"] = check_text("$.title", title, longest=TITLE_LENGTH)
        if model is not None:
            changes["model"] = check_model("$.model", model)
        if active_message_id is not None:
            changes["active_message_id"] = active_message_id
        async with self._storage.unit_of_work() as unit:
            if active_message_id is not None:
                message = await unit.messages.get(active_message_id)
                if message.conversation_id != conversation_id:
                    raise missing("message", active_message_id)
                if message.sender is not Sender.LLM:
                    problem = "must be an answer: the next message follows it"
                    error = FieldError("$.active_message_id", problem)
                    raise InvalidInput(f"active_message_id {problem}.", errors=(error,))
            # Read here, so that a turn that began meanwhile keeps the leaf that it set.
            changed = replace(await unit.conversations.lock(conversation_id), **changes)
            stored = await unit.conversations.update(changed, expected_version=expected_version)
            await unit.commit()
        self._notices.tell("conversation", "updated", identity.user_id, conversation_id)
        return stored

    async def delete(self, identity: Identity, conversation_id: UUID, *, expected_version: int | None = None) -> None:
        """Delete a conversation with its messages and their context records.

        Raises:
            StaleVersion: ``expected_version`` is not the stored one.
        """
        await self.get(identity, conversation_id, action="delete")
        async with self._storage.unit_of_work() as unit:
            if expected_version is not None:
                # Written first, so that nobody changes it between the look at its version and its end.
                found = await unit.conversations.get(conversation_id)
                await unit.conversations.update(found, expected_version=expected_version)
            await unit.conversations.delete(conversation_id)
            await self._removal.schedule(unit, conversation_id)
            await unit.commit()
        self._removal.wake()
        self._notices.tell("conversation", "deleted", identity.user_id, conversation_id)

    async def message(self, identity: Identity, message_id: UUID) -> Message:
        """Return one message of the caller's."""
        async with self._storage.unit_of_work(readonly=True) as unit:
            message = await unit.messages.get(message_id)
            conversation = await unit.conversations.get(message.conversation_id)
        if conversation.owner_id != identity.user_id:
            raise missing("message", message_id)
        await self._access.check(identity, "read", ResourceRef("message", message_id, conversation.owner_id))
        return message

    async def context(self, identity: Identity, message_id: UUID) -> dict[str, Any]:
        """Return the context report of an answer (contract, section 5).

        Raises:
            NotFound: there is no such answer of the caller's, or nothing was sent for it.
        """
        await self.message(identity, message_id)
        return await context_report(self._storage, message_id)

    async def export(
        self, identity: Identity, conversation_id: UUID, format_name: str
    ) -> tuple[Conversation, Exporter, AsyncIterator[bytes]]:
        """Return a conversation, the exporter of the format, and the document.

        Raises:
            InvalidInput: no exporter has this name.
        """
        exporter = self._host.all(EXPORTERS).get(format_name)
        if exporter is None:
            known = ", ".join(sorted(self._host.all(EXPORTERS)))
            problem = f"must be one of {known}"
            raise InvalidInput(f"format {problem}.", errors=(FieldError("$.format", problem),))
        conversation = await self.get(identity, conversation_id)
        return conversation, exporter, exporter.export(conversation, self._all_messages(conversation))

    async def _all_messages(self, conversation: Conversation) -> AsyncIterator[Message]:
        if conversation.active_message_id is None:
            return
        async with self._storage.unit_of_work(readonly=True) as unit:
            path = await unit.messages.path(conversation.active_message_id, limit=EXPORT_LIMIT)
        for message in path:
            yield message
