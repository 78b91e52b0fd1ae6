"""Bodies and queries, field by field; anything else in them is refused (contract, sections 1 and 7)."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, to_builtins

from eudai_core.services.accounts import EMAIL, NAME
from eudai_core.services.passwords import LONGEST, SHORTEST
from eudai_core.services.projects import LONGEST_RETENTION
from eudai_quart.wire.fields import (
    BIGGEST,
    ClientId,
    Cursor,
    Description,
    InstructionText,
    Limit,
    ModelName,
    Name,
    Position,
    Question,
    Title,
)

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
    "SettingsChange",
    "Signup",
    "Stopping",
    "Strict",
    "TurnOptions",
    "given",
]

FORMAT_LENGTH = 64
HOTTEST = 100


class Strict(Struct, forbid_unknown_fields=True, frozen=True):
    """The base of them all."""


class Empty(Strict, frozen=True):
    """A query without parameters."""


class Paging(Strict, frozen=True):
    """The query of a list."""

    limit: Limit = 50
    cursor: Annotated[Cursor | None, Meta(description="The `next` of the page before; without it, the first page.")] = (
        None
    )


class Format(Strict, frozen=True):
    """The query of a conversation's download."""

    format: Annotated[
        str, Meta(max_length=FORMAT_LENGTH, description="The name of an exporter: `markdown`, `json`, `html`, or more.")
    ] = "markdown"


class After(Strict, frozen=True):
    """The query of a stream of events: begin after this number."""

    after: Annotated[
        Annotated[int, Meta(ge=0, le=BIGGEST)] | None,
        Meta(description="Begin with the events numbered above it; without it, at the present with a snapshot."),
    ] = None


class Signup(Strict, frozen=True):
    """A new account."""

    # The patterns and the shortest password are the service's to check: it says in words what it wants.
    username: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            description="A letter or digit, then letters, digits, `.`, `_` or `-`; compared without regard to case.",
            extra_json_schema={"pattern": f"^{NAME.pattern}$"},
            examples=["ada"],
        ),
    ]
    email: Annotated[
        str,
        Meta(
            min_length=3,
            max_length=254,
            description="An e-mail address; no other account may have it.",
            extra_json_schema={"pattern": f"^{EMAIL.pattern}$"},
            examples=["ada@example.org"],
        ),
    ]
    password: Annotated[
        str,
        Meta(
            max_length=LONGEST,
            description="Any characters, compared in Unicode normal form NFKC.",
            extra_json_schema={"minLength": SHORTEST},
            examples=["correct horse battery"],
        ),
    ]
    invite: Annotated[
        Annotated[str, Meta(max_length=256)] | None,
        Meta(description="The code of an invitation, where signing up needs one."),
    ] = None


class Login(Strict, frozen=True):
    """A log-in."""

    username: Annotated[str, Meta(description="The username, or the e-mail address.", examples=["ada"])]
    password: Annotated[str, Meta(description="The password.", examples=["correct horse battery"])]
    cookie: Annotated[bool, Meta(description="Whether to set the web cookie too.")] = False


class Refresh(Strict, frozen=True):
    """A refresh token to spend."""

    refresh_token: Annotated[str, Meta(description="The newest refresh token of the session.")]


class NewProject(Strict, frozen=True):
    """A new project."""

    name: Annotated[Name, Meta(description="Its name.", examples=["Garden"])]
    description: Annotated[Description, Meta(description="What it is about.")] = ""


class SettingsChange(Strict, frozen=True):
    """Settings of a project to change: what is left out stays, null takes a setting away."""

    model: Annotated[ModelName | UnsetType | None, Meta(description="The model of its conversations.")] = UNSET
    overflow: Annotated[
        Literal["drop", "summarise", "refuse"] | UnsetType | None,
        Meta(description="What is done when a conversation outgrows the model's window."),
    ] = UNSET
    retention_days: Annotated[
        Annotated[int, Meta(ge=1, le=LONGEST_RETENTION)] | UnsetType | None,
        Meta(description="Days for which conversations are kept; for ever without it."),
    ] = UNSET


class ProjectChange(Strict, frozen=True):
    """What to change of a project; what is left out, or null, stays."""

    name: Annotated[Name | None, Meta(description="Its name.")] = None
    description: Annotated[Description | None, Meta(description="What it is about.")] = None
    settings: Annotated[SettingsChange | None, Meta(description="Its settings.")] = None


class NewInstruction(Strict, frozen=True):
    """A new instruction."""

    instruction_text: Annotated[
        InstructionText, Meta(description="What the model is to heed.", examples=["Answer in French."])
    ]
    position: Annotated[Position, Meta(description="Where it stands; the lowest first.")] = 0
    enabled: Annotated[bool, Meta(description="Whether it is sent.")] = True


class InstructionPatch(Strict, frozen=True):
    """What to change of an instruction; what is left out, or null, stays."""

    instruction_text: Annotated[InstructionText | None, Meta(description="What the model is to heed.")] = None
    position: Annotated[Position | None, Meta(description="Where it stands; the lowest first.")] = None
    enabled: Annotated[bool | None, Meta(description="Whether it is sent.")] = None


class NewConversation(Strict, frozen=True):
    """A new conversation."""

    title: Annotated[
        Title | None, Meta(description="Its title; without it, the first words of the first question.")
    ] = None
    model: Annotated[ModelName | None, Meta(description="Its model; without it, the project's or the server's.")] = None


class ConversationPatch(Strict, frozen=True):
    """What to change of a conversation; what is left out stays."""

    title: Annotated[Title | UnsetType, Meta(description="Its title.")] = UNSET
    model: Annotated[
        ModelName | UnsetType | None, Meta(description="Its model; null goes back to the project's or the server's.")
    ] = UNSET
    active_message_id: Annotated[
        UUID | UnsetType, Meta(description="The message that ends the branch that is shown.")
    ] = UNSET


class TurnOptions(Strict, frozen=True):
    """What a message may set for its own turn."""

    think: Annotated[bool | UnsetType, Meta(description="Whether the model is to think first.")] = UNSET
    temperature: Annotated[
        Annotated[int, Meta(ge=0, le=HOTTEST)] | Annotated[float, Meta(ge=0, le=HOTTEST)] | UnsetType,
        Meta(description="How freely the model chooses its words."),
    ] = UNSET
    top_p: Annotated[
        Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0, le=1)] | UnsetType,
        Meta(description="The share of likely words that it chooses from."),
    ] = UNSET
    seed: Annotated[
        Annotated[int, Meta(ge=-BIGGEST, le=BIGGEST)] | UnsetType, Meta(description="Makes its choices repeatable.")
    ] = UNSET


class NewMessage(Strict, frozen=True):
    """A question; only ``content`` is needed."""

    content: Question
    client_id: Annotated[
        ClientId | None, Meta(description="Makes it safe to send again: one message and one answer come of it.")
    ] = None
    parent_id: Annotated[
        UUID | UnsetType | None,
        Meta(description="The answer that it follows; null for a first message, the one shown last without it."),
    ] = UNSET
    model: Annotated[ModelName | None, Meta(description="The model of this turn.")] = None
    options: Annotated[TurnOptions | None, Meta(description="Options of this turn.")] = None


class Stopping(Strict, frozen=True):
    """Which answer to stop."""

    run_id: Annotated[UUID | None, Meta(description="The run to stop; all of the conversation's without it.")] = None


class Regeneration(Strict, frozen=True):
    """Which answer to make again."""

    message_id: Annotated[UUID | None, Meta(description="The answer; the newest one without it.")] = None
    client_id: Annotated[ClientId | None, Meta(description="Makes it safe to send again.")] = None
    model: Annotated[ModelName | None, Meta(description="The model of this turn.")] = None


class Answering(Strict, frozen=True):
    """Which answer to go on with."""

    message_id: Annotated[UUID, Meta(description="The answer, which was stopped, interrupted, or failed.")]
    client_id: Annotated[ClientId | None, Meta(description="Makes it safe to send again.")] = None


def given(members: SettingsChange | TurnOptions | None) -> dict[str, Any] | None:
    """Return the members that were sent, by name, as a service takes them."""
    return None if members is None else dict(to_builtins(members))
