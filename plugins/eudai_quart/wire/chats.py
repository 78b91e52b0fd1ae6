"""Conversations and messages as answers, member by member, with the names of the contract's section 7."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from eudai_core import model as core
from eudai_quart.wire.answers import Items
from eudai_quart.wire.fields import (
    AnswerId,
    ConversationId,
    CreatedAt,
    Id,
    MessageId,
    Moment,
    ProjectId,
    RunId,
    UpdatedAt,
)

__all__ = [
    "Accepted",
    "Citation",
    "Conversation",
    "ConversationWithMessages",
    "Exchange",
    "Failure",
    "Message",
    "Usage",
]


class Conversation(Struct):
    """A conversation: a tree of messages, of which one branch is shown."""

    id: Id
    project_id: ProjectId
    title: Annotated[str, Meta(description="Its title; empty before its first question.")]
    model: Annotated[str | None, Meta(description="Its model; null for the project's or the server's.")]
    active_message_id: Annotated[UUID | None, Meta(description="The message that ends the branch that is shown.")]
    seq: Annotated[int, Meta(description="The number of its last event known to storage.")]
    created_at: CreatedAt
    updated_at: UpdatedAt

    @classmethod
    def of(cls, conversation: core.Conversation) -> Conversation:
        """Convert."""
        return cls(**_conversation(conversation))


class Usage(Struct):
    """What an answer cost; null where the backend does not tell."""

    prompt_tokens: Annotated[int | None, Meta(description="Tokens of the prompt, as the backend counted them.")]
    completion_tokens: Annotated[int | None, Meta(description="Tokens of the answer.")]
    reused_prefix_tokens: Annotated[int | None, Meta(description="Leading tokens equal to the previous prompt's.")]
    duration_ms: Annotated[int | None, Meta(description="Milliseconds from the start of the run to its end.")]
    first_token_ms: Annotated[
        int | None, Meta(description="Milliseconds from the start of the run to its first token.")
    ]

    @classmethod
    def of(cls, usage: core.Usage) -> Usage:
        """Convert."""
        return cls(
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.reused_prefix_tokens,
            usage.duration_ms,
            usage.first_token_ms,
        )


class Citation(Struct):
    """A place in an answer that names a source."""

    id: Annotated[str, Meta(description="The id of the source, as the model wrote it.")]
    segment: Annotated[int | None, Meta(description="The index of the source among the context report's segments.")]
    start: Annotated[int, Meta(description="Where the mark begins in the answer, in code points.")]
    end: Annotated[int, Meta(description="Where the mark ends in the answer, in code points.")]
    quote: Annotated[str, Meta(description="The sentence before the mark.")]
    verdict: Annotated[
        Literal["verified", "paraphrase", "not_found"], Meta(description="Whether the source says what was said.")
    ]

    @classmethod
    def of(cls, citation: core.Citation) -> Citation:
        """Convert."""
        verdict: Any = citation.verdict
        return cls(citation.id, citation.segment, citation.start, citation.end, citation.quote, verdict)


class Failure(Struct):
    """The error that ended an answer."""

    code: Annotated[str, Meta(description="What a program looks at; it never changes.")]
    title: Annotated[str, Meta(description="What a person reads first.")]
    detail: Annotated[str, Meta(description="What was tried, what happened, what to do.")]
    retry_after: Annotated[float | UnsetType, Meta(description="Seconds after which another try makes sense.")] = UNSET

    @classmethod
    def of(cls, error: Mapping[str, Any]) -> Failure:
        """Convert what the chat engine stored."""
        code, title, detail = (str(error.get(name, "")) for name in ("code", "title", "detail"))
        return cls(code, title, detail, error.get("retry_after", UNSET))


class Message(Struct):
    """A question or an answer."""

    id: Id
    conversation_id: ConversationId
    parent_id: Annotated[UUID | None, Meta(description="The message that it follows.")]
    siblings: Annotated[
        Sequence[UUID], Meta(description="All versions with the same parent, itself included, oldest first.")
    ]
    sender: Annotated[core.Sender, Meta(description="Who wrote it.")]
    text: Annotated[str, Meta(description="What it says.")]
    thinking: Annotated[str, Meta(description="The model's reasoning before the answer.")]
    status: Annotated[core.MessageStatus, Meta(description="How it stands.")]
    model: Annotated[str | None, Meta(description="The model that answered; null for a question.")]
    usage: Annotated[Usage | None, Meta(description="What it cost.")]
    citations: Annotated[Sequence[Citation], Meta(description="Where it names its sources.")]
    error: Annotated[Failure | None, Meta(description="The error that ended it.")]
    client_id: Annotated[str | None, Meta(description="The `client_id` that it was sent with.")]
    timestamp: Annotated[Moment, Meta(description="When it was made.")]

    @classmethod
    def of(cls, message: core.Message) -> Message:
        """Convert."""
        return cls(
            id=message.id,
            conversation_id=message.conversation_id,
            parent_id=message.parent_id,
            siblings=message.siblings,
            sender=message.sender,
            text=message.text,
            thinking=message.thinking,
            status=message.status,
            model=message.model,
            usage=None if message.usage is None else Usage.of(message.usage),
            citations=[Citation.of(citation) for citation in message.citations],
            error=None if message.error is None else Failure.of(message.error),
            client_id=message.client_id,
            timestamp=message.timestamp,
        )


class ConversationWithMessages(Conversation):
    """A conversation with a page of the branch that is shown, oldest first."""

    messages: Annotated[Items[Message], Meta(description="The messages; `next` leads to older ones.")]

    @classmethod
    def build(
        cls, conversation: core.Conversation, messages: Iterable[core.Message], older: UUID | None
    ) -> ConversationWithMessages:
        """Convert."""
        items = Items([Message.of(message) for message in messages], None if older is None else str(older))
        return cls(**_conversation(conversation), messages=items)


class Exchange(Struct):
    """A question and its answer."""

    user_message: Annotated[Message, Meta(description="The question.")]
    bot_message: Annotated[Message, Meta(description="The answer, with its `status`.")]


class Accepted(Struct):
    """A command that was accepted: what the ``ack`` event says."""

    client_id: Annotated[str | None, Meta(description="The `client_id` of the command.")]
    message_id: MessageId
    answer_id: AnswerId
    run_id: RunId


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
