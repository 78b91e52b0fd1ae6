"""Events that a client sends over the WebSocket (contract, section 3)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from eudai_quart.wire.fields import BIGGEST, ClientId, ModelName, Question
from eudai_quart.wire.requests import TurnOptions

__all__ = ["ClientEvent", "Continue", "Ping", "Regenerate", "Resume", "Stop", "UserMessage"]

Again = Annotated[ClientId | None, Meta(description="Makes it safe to send again: one command, one run.")]
Model = Annotated[ModelName | None, Meta(description="The model of this turn.")]


class _Event(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    pass


class UserMessage(_Event, frozen=True, tag="user_message"):
    """A question; only ``content`` is needed."""

    content: Question
    client_id: Again = None
    parent_id: Annotated[
        UUID | UnsetType | None,
        Meta(description="The answer that it follows; null for a first message, the one shown last without it."),
    ] = UNSET
    model: Model = None
    options: Annotated[TurnOptions | None, Meta(description="Options of this turn.")] = None


class Regenerate(_Event, frozen=True, tag="regenerate"):
    """Another answer to the same question."""

    message_id: Annotated[UUID | None, Meta(description="The answer to make again; the newest one without it.")] = None
    client_id: Again = None
    model: Model = None


class Continue(_Event, frozen=True, tag="continue"):
    """More of an answer that was stopped or interrupted."""

    message_id: Annotated[UUID, Meta(description="The answer to go on with.")]
    client_id: Again = None


class Stop(_Event, frozen=True, tag="stop"):
    """No more of the running answer."""

    run_id: Annotated[UUID | None, Meta(description="The run to stop; all of the conversation's without it.")] = None


class Resume(_Event, frozen=True, tag="resume"):
    """Everything after an event's number; null for the present with a snapshot."""

    after: Annotated[
        Annotated[int, Meta(ge=0, le=BIGGEST)] | None, Meta(description="The number of the last event that was seen.")
    ]


class Ping(_Event, frozen=True, tag="ping"):
    """Asks for a pong."""


ClientEvent = UserMessage | Regenerate | Continue | Stop | Resume | Ping
