"""Everything that a storage in memory knows: one value that is replaced as a whole when a unit of work commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from uuid import UUID

from eudai_core.model import (
    ApiKey,
    Command,
    ContextRecord,
    Conversation,
    DocumentVersion,
    EventRecord,
    Failures,
    FileRecord,
    Instruction,
    InstructionVersion,
    Invite,
    Job,
    Message,
    PluginState,
    Project,
    Run,
    Session,
    SigningKeyRecord,
    StoredAnswer,
    Url,
    User,
)

__all__ = ["Numbering", "RefreshToken", "State"]


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token, known by its hash."""

    session_id: UUID
    expires_at: datetime
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Numbering:
    """How the events of a conversation are numbered: the highest ceiling given out, to whom, and what was trimmed."""

    ceiling: int = 0
    owner: str | None = None
    until: datetime | None = None
    trimmed: int = 0


@dataclass(slots=True)
class State:
    """The rows of every kind. The values are never changed in place, so a copy needs to copy the mappings alone.

    ``text_owners`` and ``indexed`` are sets; ``ended`` has the runs that ended and whose events are in the log.
    """

    users: dict[UUID, tuple[User, str]] = field(default_factory=dict)
    sessions: dict[UUID, Session] = field(default_factory=dict)
    refresh_tokens: dict[str, RefreshToken] = field(default_factory=dict)
    api_keys: dict[UUID, tuple[ApiKey, str]] = field(default_factory=dict)
    invites: dict[UUID, tuple[Invite, str]] = field(default_factory=dict)
    signing_keys: dict[str, SigningKeyRecord] = field(default_factory=dict)
    login_failures: dict[str, Failures] = field(default_factory=dict)
    projects: dict[UUID, Project] = field(default_factory=dict)
    files: dict[UUID, FileRecord] = field(default_factory=dict)
    versions: dict[UUID, DocumentVersion] = field(default_factory=dict)
    urls: dict[UUID, Url] = field(default_factory=dict)
    instructions: dict[UUID, Instruction] = field(default_factory=dict)
    instruction_versions: dict[tuple[UUID, int], InstructionVersion] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    text_owners: dict[tuple[str, UUID], None] = field(default_factory=dict)
    conversations: dict[UUID, Conversation] = field(default_factory=dict)
    numbering: dict[UUID, Numbering] = field(default_factory=dict)
    messages: dict[UUID, Message] = field(default_factory=dict)
    indexed: dict[UUID, None] = field(default_factory=dict)
    commands: dict[tuple[UUID, str], Command] = field(default_factory=dict)
    runs: dict[UUID, Run] = field(default_factory=dict)
    ended: dict[UUID, datetime] = field(default_factory=dict)
    events: dict[tuple[UUID, int], EventRecord] = field(default_factory=dict)
    contexts: dict[tuple[UUID, int], ContextRecord] = field(default_factory=dict)
    jobs: dict[UUID, Job] = field(default_factory=dict)
    answers: dict[tuple[UUID, str], StoredAnswer] = field(default_factory=dict)
    plugin_states: dict[str, tuple[datetime, Sequence[PluginState]]] = field(default_factory=dict)

    def copy(self) -> State:
        """Return a state that can be changed without this one noticing."""
        return State(**{part.name: dict(getattr(self, part.name)) for part in fields(self)})
