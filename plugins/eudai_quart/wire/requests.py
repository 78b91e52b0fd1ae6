"""Bodies and queries, field by field; anything else in them is refused (contract, sections 1 and 7)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

__all__ = [
    "After",
    "Answering",
    "ConversationPatch",
    "Empty",
    "Format",
    "InstructionPatch",
    "Login",
    "NewConversation",
    "NewInstruction",
    "NewMessage",
    "NewProject",
    "Paging",
    "ProjectChange",
    "Refresh",
    "Regeneration",
    "Signup",
    "Stopping",
]


class Strict(Struct, forbid_unknown_fields=True, frozen=True):
    """The base of them all."""


class Empty(Strict, frozen=True):
    """A query without parameters."""


class Paging(Strict, frozen=True):
    """The query of a list."""

    limit: int = 50
    cursor: str | None = None


class Format(Strict, frozen=True):
    """The query of a conversation's download."""

    format: str = "markdown"


class After(Strict, frozen=True):
    """The query of a stream of events: begin after this number."""

    after: int | None = None


class Signup(Strict, frozen=True):
    """``POST /api/auth/signup``."""

    username: str
    email: str
    password: str
    invite: str | None = None


class Login(Strict, frozen=True):
    """``POST /api/auth/login``; ``username`` may be an e-mail."""

    username: str
    password: str
    cookie: bool = False


class Refresh(Strict, frozen=True):
    """``POST /api/auth/refresh``."""

    refresh_token: str


class NewProject(Strict, frozen=True):
    """``POST /api/projects``."""

    name: str
    description: str = ""


class ProjectChange(Strict, frozen=True):
    """``PUT /api/projects/:id``: what is left out stays; a setting given as null goes."""

    name: str | None = None
    description: str | None = None
    settings: dict[str, Any] | None = None


class NewInstruction(Strict, frozen=True):
    """``POST /api/projects/:id/instructions``."""

    instruction_text: str
    position: int = 0
    enabled: bool = True


class InstructionPatch(Strict, frozen=True):
    """``PUT /api/projects/:id/instructions/:id``: what is left out stays."""

    instruction_text: str | None = None
    position: int | None = None
    enabled: bool | None = None


class NewConversation(Strict, frozen=True):
    """``POST /api/projects/:id/conversations``."""

    title: str | None = None
    model: str | None = None


class ConversationPatch(Strict, frozen=True):
    """``PATCH /api/conversations/:id``: what is left out stays; ``model`` null goes back to the project's."""

    title: str | UnsetType = UNSET
    model: str | UnsetType | None = UNSET
    active_message_id: UUID | UnsetType = UNSET


class NewMessage(Strict, frozen=True):
    """``POST /api/conversations/:id/messages``: without ``parent_id`` the message follows the one shown last."""

    content: str
    client_id: str | None = None
    parent_id: UUID | UnsetType | None = UNSET
    model: str | None = None
    options: dict[str, Any] | None = None


class Stopping(Strict, frozen=True):
    """``POST /api/conversations/:id/stop``."""

    run_id: UUID | None = None


class Regeneration(Strict, frozen=True):
    """``POST /api/conversations/:id/regenerate``."""

    message_id: UUID | None = None
    client_id: str | None = None
    model: str | None = None


class Answering(Strict, frozen=True):
    """``POST /api/conversations/:id/continue``."""

    message_id: UUID
    client_id: str | None = None
