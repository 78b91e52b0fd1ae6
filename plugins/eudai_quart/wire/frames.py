"""Events that the server sends, over the WebSocket and as server-sent events (contract, section 3).

The core makes them; what stands here says what is in them.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from eudai_core.model import Phase
from eudai_quart.problems import FieldProblem
from eudai_quart.wire.chats import Citation, Failure, Usage
from eudai_quart.wire.fields import AnswerId, MessageId, RunId, Seq
from eudai_quart.wire.reports import Budget, Change, LeftOut

__all__ = [
    "AckEvent",
    "BotMessageEvent",
    "ContextEvent",
    "DeltaEvent",
    "ErrorEvent",
    "PongEvent",
    "QuestionEvent",
    "ServerEvent",
    "SnapshotEvent",
    "StatusEvent",
    "ThinkingEvent",
    "TitleEvent",
]

Conversation = Annotated[UUID, Meta(description="The conversation.")]
Content = Annotated[str, Meta(description="The text.")]
Parent = Annotated[UUID | None, Meta(description="The message that it follows.")]
ClientId = Annotated[str | None, Meta(description="The `client_id` of the command.")]
Offset = Annotated[int, Meta(ge=0, description="Code points of that text before this piece.")]


class _Event(Struct, tag_field="type"):
    pass


class AckEvent(_Event, tag="ack"):
    """To the sender: the command is stored."""

    conversation_id: Conversation
    client_id: ClientId
    message_id: MessageId
    answer_id: AnswerId
    run_id: RunId


class QuestionEvent(_Event, tag="user_message"):
    """A question was asked, perhaps in another window."""

    conversation_id: Conversation
    seq: Seq
    run_id: RunId
    message_id: MessageId
    parent_id: Parent
    answer_id: AnswerId
    client_id: ClientId
    content: Content


class StatusEvent(_Event, tag="status"):
    """What the run does."""

    conversation_id: Conversation
    run_id: RunId
    phase: Annotated[Phase, Meta(description="What it does.")]
    seq: Annotated[Seq | UnsetType, Meta(description="Missing when it is the sender's place in the queue.")] = UNSET
    answer_id: Annotated[AnswerId | UnsetType, Meta(description="The answer, told with the place in the queue.")] = (
        UNSET
    )
    position: Annotated[int | UnsetType, Meta(description="How many runs stand before it; with `queued`.")] = UNSET
    estimate_s: Annotated[float | UnsetType, Meta(description="Seconds until it begins, estimated.")] = UNSET
    tokens: Annotated[int | UnsetType | None, Meta(description="Tokens of the prompt; with `reading`.")] = UNSET


class ThinkingEvent(_Event, tag="thinking"):
    """A piece of the model's reasoning. It is never mixed into `delta`."""

    conversation_id: Conversation
    seq: Seq
    run_id: RunId
    message_id: MessageId
    offset: Offset
    content: Content


class DeltaEvent(_Event, tag="delta"):
    """A piece of the answer."""

    conversation_id: Conversation
    seq: Seq
    run_id: RunId
    message_id: MessageId
    offset: Offset
    content: Content


class ContextEvent(_Event, tag="context"):
    """A summary of the context report."""

    conversation_id: Conversation
    seq: Seq
    run_id: RunId
    message_id: MessageId
    model: Annotated[str, Meta(description="The model that is asked.")]
    tokens: Annotated[int, Meta(description="Tokens of the prompt, estimated.")]
    budget: Budget
    reused_prefix_tokens: Annotated[int, Meta(description="Leading tokens equal to the previous prompt's.")]
    changes: Annotated[list[Change], Meta(description="Why it does not begin like the previous prompt.")]
    left_out: Annotated[list[LeftOut], Meta(description="What was left out.")]


class BotMessageEvent(_Event, tag="bot_message"):
    """The end of a run, exactly one for each: the whole answer."""

    conversation_id: Conversation
    run_id: RunId
    message_id: MessageId
    content: Content
    status: Annotated[Literal["complete", "stopped", "interrupted", "failed"], Meta(description="How it ended.")]
    parent_id: Parent
    model: Annotated[str | None, Meta(description="The model that answered.")]
    usage: Annotated[Usage | None, Meta(description="What it cost.")]
    citations: Annotated[list[Citation], Meta(description="Where it names its sources.")]
    error: Annotated[Failure | None, Meta(description="The error that ended it.")]
    seq: Annotated[Seq | UnsetType, Meta(description="Missing when an outcome is told once more over HTTP.")] = UNSET


class SnapshotEvent(_Event, tag="snapshot"):
    """The newest answer so far: for a client that begins at the present, or when the pieces it missed are gone."""

    conversation_id: Conversation
    seq: Annotated[Seq, Meta(description="The last number that it includes.")]
    message_id: MessageId
    content: Content
    thinking: Annotated[str, Meta(description="The model's reasoning so far.")]
    run_id: Annotated[RunId | UnsetType, Meta(description="The run that makes it, while there is one.")] = UNSET
    status: Annotated[
        Literal["complete", "stopped", "interrupted", "failed"] | UnsetType,
        Meta(description="How it ended, when it has ended."),
    ] = UNSET


class TitleEvent(_Event, tag="title"):
    """The conversation has a new title."""

    conversation_id: Conversation
    seq: Seq
    title: Annotated[str, Meta(description="The title.")]


class ErrorEvent(_Event, tag="error"):
    """Something failed. Before a failed `bot_message` it belongs to the run; else it answers a refused command."""

    conversation_id: Conversation
    code: Annotated[str, Meta(description="What a program looks at; it never changes.")]
    title: Annotated[str, Meta(description="What a person reads first.")]
    status: Annotated[int, Meta(description="The status that it would have over HTTP.")]
    detail: Annotated[str, Meta(description="What was tried, what happened, what to do.")]
    seq: Annotated[Seq | UnsetType, Meta(description="With an error of a run.")] = UNSET
    run_id: Annotated[RunId | UnsetType, Meta(description="With an error of a run.")] = UNSET
    message_id: Annotated[MessageId | UnsetType, Meta(description="The answer, with an error of a run.")] = UNSET
    retry_after: Annotated[float | UnsetType, Meta(description="Seconds after which another try makes sense.")] = UNSET
    client_id: Annotated[str | UnsetType, Meta(description="The `client_id` of the refused command.")] = UNSET
    request_id: Annotated[str | UnsetType, Meta(description="Stands in the log too; with a refused command.")] = UNSET
    errors: Annotated[list[FieldProblem] | UnsetType, Meta(description="What is wrong with the command's data.")] = (
        UNSET
    )


class PongEvent(_Event, tag="pong"):
    """The answer to `ping`."""


ServerEvent = (
    AckEvent
    | QuestionEvent
    | StatusEvent
    | ThinkingEvent
    | DeltaEvent
    | ContextEvent
    | BotMessageEvent
    | SnapshotEvent
    | TitleEvent
    | ErrorEvent
    | PongEvent
)
