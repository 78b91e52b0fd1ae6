"""Events that a client sends over the WebSocket (contract, section 3)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

__all__ = ["ClientEvent", "Continue", "Ping", "Regenerate", "Resume", "Stop", "UserMessage"]


class _Event(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    pass


class UserMessage(_Event, frozen=True, tag="user_message"):
    """A question; only ``content`` is needed."""

    content: str
    client_id: str | None = None
    parent_id: UUID | UnsetType | None = UNSET
    model: str | None = None
    options: dict[str, Any] | None = None


class Regenerate(_Event, frozen=True, tag="regenerate"):
    """Another answer to the same question."""

    message_id: UUID | None = None
    client_id: str | None = None
    model: str | None = None


class Continue(_Event, frozen=True, tag="continue"):
    """More of an answer that was stopped or interrupted."""

    message_id: UUID
    client_id: str | None = None


class Stop(_Event, frozen=True, tag="stop"):
    """No more of the running answer."""

    run_id: UUID | None = None


class Resume(_Event, frozen=True, tag="resume"):
    """Everything after an event's number; null for the present with a snapshot."""

    after: int | None


class Ping(_Event, frozen=True, tag="ping"):
    """Asks for a pong."""


ClientEvent = UserMessage | Regenerate | Continue | Stop | Resume | Ping
