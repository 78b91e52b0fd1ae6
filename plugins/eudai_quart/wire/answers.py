"""Answers, member by member, with the names of the contract's section 7."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from eudai_core import model as core

__all__ = [
    "Accepted",
    "Conversation",
    "ConversationWithMessages",
    "Exchange",
    "File",
    "Instruction",
    "Items",
    "Message",
    "Model",
    "Project",
    "Tokens",
    "User",
    "page",
]

T = TypeVar("T")
S = TypeVar("S")


class Items(Struct, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = None


def page(found: core.Page[S], convert: Callable[[S], T]) -> Items[T]:
    """Return a page of the model as one of answers."""
    return Items([convert(item) for item in found.items], found.next)


class User(Struct):
    """An account."""

    id: UUID
    username: str
    email: str
    is_admin: bool
    created_at: datetime

    @classmethod
    def of(cls, user: core.User) -> User:
        """Convert."""
        return cls(user.id, user.username, user.email, user.is_admin, user.created_at)


class Tokens(Struct):
    """What a log-in gives."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: User
    token_type: str = "bearer"  # noqa: S105 -- the name of a scheme (RFC 6750)

    @classmethod
    def of(cls, pair: core.TokenPair) -> Tokens:
        """Convert."""
        return cls(pair.access_token, pair.refresh_token, pair.expires_in, User.of(pair.user))


class Project(Struct):
    """A project."""

    id: UUID
    name: str
    description: str
    settings: Mapping[str, Any]
    counts: core.ProjectCounts
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, project: core.Project) -> Project:
        """Convert."""
        return cls(
            project.id,
            project.name,
            project.description,
            project.settings,
            project.counts,
            project.created_at,
            project.updated_at,
        )


class File(Struct):
    """A file; ``preview`` is the beginning of its text, and null in lists."""

    id: UUID
    project_id: UUID
    filename: str
    media_type: str
    size: int
    sha256: str
    status: str
    error: str | None
    pinned: bool
    version: int
    characters: int
    tokens: int
    uploaded_at: datetime
    uploaded_by: UUID
    preview: str | None = None

    @classmethod
    def of(cls, file: core.FileRecord, preview: str | None = None) -> File:
        """Convert."""
        current = file.current
        return cls(
            id=file.id,
            project_id=file.project_id,
            filename=file.filename,
            media_type=current.media_type,
            size=current.size,
            sha256=current.sha256,
            status=str(current.status),
            error=current.error,
            pinned=file.pinned,
            version=current.number,
            characters=current.characters,
            tokens=current.tokens,
            uploaded_at=file.uploaded_at,
            uploaded_by=file.uploaded_by,
            preview=preview,
        )


class Instruction(Struct):
    """A standing instruction."""

    id: UUID
    project_id: UUID
    instruction_text: str
    position: int
    enabled: bool
    version: int
    created_at: datetime

    @classmethod
    def of(cls, instruction: core.Instruction) -> Instruction:
        """Convert."""
        return cls(
            instruction.id,
            instruction.project_id,
            instruction.instruction_text,
            instruction.position,
            instruction.enabled,
            instruction.version,
            instruction.created_at,
        )


class Conversation(Struct):
    """A conversation."""

    id: UUID
    project_id: UUID
    title: str
    model: str | None
    active_message_id: UUID | None
    seq: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, conversation: core.Conversation) -> Conversation:
        """Convert."""
        return cls(**_conversation(conversation))


class Message(Struct):
    """A message."""

    id: UUID
    conversation_id: UUID
    parent_id: UUID | None
    siblings: Sequence[UUID]
    sender: str
    text: str
    thinking: str
    status: str
    model: str | None
    usage: core.Usage | None
    citations: Sequence[core.Citation]
    error: Mapping[str, Any] | None
    client_id: str | None
    timestamp: datetime

    @classmethod
    def of(cls, message: core.Message) -> Message:
        """Convert."""
        return cls(
            id=message.id,
            conversation_id=message.conversation_id,
            parent_id=message.parent_id,
            siblings=message.siblings,
            sender=str(message.sender),
            text=message.text,
            thinking=message.thinking,
            status=str(message.status),
            model=message.model,
            usage=message.usage,
            citations=message.citations,
            error=message.error,
            client_id=message.client_id,
            timestamp=message.timestamp,
        )


class ConversationWithMessages(Conversation):
    """A conversation with a page of its active path, oldest first; ``next`` leads to older ones."""

    messages: Items[Message]

    @classmethod
    def build(
        cls, conversation: core.Conversation, messages: Iterable[core.Message], older: UUID | None
    ) -> ConversationWithMessages:
        """Convert."""
        items = Items([Message.of(message) for message in messages], None if older is None else str(older))
        return cls(**_conversation(conversation), messages=items)


class Exchange(Struct):
    """A question and its answer."""

    user_message: Message
    bot_message: Message


class Accepted(Struct):
    """A command that was accepted: what the ``ack`` event says."""

    client_id: str | None
    message_id: UUID
    answer_id: UUID
    run_id: UUID


class Model(Struct):
    """A model that can be asked."""

    name: str
    backend: str
    window: int
    max_answer_tokens: int
    capabilities: list[str]
    size: int | None
    family: str | None
    description: str
    is_language_model: bool

    @classmethod
    def of(cls, info: core.ModelInfo) -> Model:
        """Convert; where a model runs is not told."""
        return cls(
            info.name,
            info.backend,
            info.window,
            info.max_answer_tokens,
            sorted(info.capabilities),
            info.size,
            info.family,
            info.description,
            info.is_language_model,
        )


def _conversation(conversation: core.Conversation) -> dict[str, Any]:
    return {
        "id": conversation.id,
        "project_id": conversation.project_id,
        "title": conversation.title,
        "model": conversation.model,
        "active_message_id": conversation.active_message_id,
        "seq": conversation.seq,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
    }
