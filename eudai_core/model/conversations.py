"""Conversations, their messages, and the commands and runs that make answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

__all__ = [
    "Citation",
    "Command",
    "CommandKind",
    "Conversation",
    "EventRecord",
    "Heartbeat",
    "Lease",
    "Message",
    "MessageStatus",
    "Run",
    "RunStatus",
    "Sender",
    "Usage",
]


class Sender(StrEnum):
    """Who wrote a message."""

    USER = "user"
    LLM = "llm"


class MessageStatus(StrEnum):
    """How a message stands. Only an answer whose run has not ended is ``pending``."""

    PENDING = "pending"
    COMPLETE = "complete"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class CommandKind(StrEnum):
    """What a client may ask of a conversation that starts a run."""

    MESSAGE = "message"
    REGENERATE = "regenerate"
    CONTINUE = "continue"


class RunStatus(StrEnum):
    """How a run stands; the last four are ends and equal the status of its answer."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost: tokens as the backend counted them (None: not told), times in milliseconds."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reused_prefix_tokens: int | None = None
    duration_ms: int | None = None
    first_token_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in an answer that names a source.

    ``id`` is the id that the model wrote, ``segment`` the index of the segment in the context report, ``start`` and
    ``end`` the code points of the mark in the answer, ``quote`` the sentence before it, ``verdict`` one of
    ``verified``, ``paraphrase``, ``not_found``.
    """

    id: str
    segment: int | None
    start: int
    end: int
    quote: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A tree of messages. ``active_message_id`` is the leaf shown; ``seq`` the last event number known to storage."""

    id: UUID
    project_id: UUID
    owner_id: UUID
    title: str
    created_at: datetime
    updated_at: datetime
    model: str | None = None
    active_message_id: UUID | None = None
    seq: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True)
class Message:
    """One message. ``siblings`` are the ids of all versions with the same parent, this one included, oldest first."""

    id: UUID
    conversation_id: UUID
    parent_id: UUID | None
    sender: Sender
    text: str
    timestamp: datetime
    status: MessageStatus = MessageStatus.COMPLETE
    thinking: str = ""
    model: str | None = None
    usage: Usage | None = None
    citations: Sequence[Citation] = ()
    error: Mapping[str, Any] | None = None
    client_id: str | None = None
    siblings: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """A client's request that was accepted, under its idempotency key. ``request_hash`` is a SHA-256 of its content."""

    conversation_id: UUID
    client_id: str
    kind: CommandKind
    request_hash: str
    message_id: UUID
    answer_id: UUID
    run_id: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """The making of one answer.

    ``owner`` is the process instance that runs it, until ``lease_until`` unless renewed. ``announced`` says whether
    the ``user_message`` event has been given out. ``options`` are the command's options for this turn only.
    """

    id: UUID
    conversation_id: UUID
    user_id: UUID
    message_id: UUID
    answer_id: UUID
    kind: CommandKind
    model: str
    backend: str
    host: str
    queued_at: datetime
    status: RunStatus = RunStatus.QUEUED
    owner: str | None = None
    lease_until: datetime | None = None
    stop_requested: bool = False
    announced: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as the log keeps it: ``payload`` is the event without ``type``, ``seq`` and ``conversation_id``."""

    conversation_id: UUID
    seq: int
    run_id: UUID | None
    type: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What became of leases: the runs that the owner still has, and those of them that somebody asked to stop."""

    renewed: frozenset[UUID]
    stop_requested: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to number a conversation's events: give out numbers above ``floor`` and up to ``ceiling``."""

    conversation_id: UUID
    floor: int
    ceiling: int
