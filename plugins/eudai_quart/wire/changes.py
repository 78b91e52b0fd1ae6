"""Events of a user: what changed, as ids and status. Whoever wants more gets the object."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from eudai_quart.problems import FieldProblem
from eudai_quart.wire.fields import ConversationId, Id, ProjectId

__all__ = [
    "ConversationChange",
    "FileChange",
    "ProjectChanged",
    "RefusedEvent",
    "RunChange",
    "UrlChange",
    "UserEvent",
]

Action = Annotated[str, Meta(description="What happened: `created`, `updated`, `deleted`, `ended`, or more.")]
At = Annotated[datetime, Meta(tz=True, description="When it happened.")]
Status = Annotated[str | UnsetType, Meta(description="Its status, where it has one.")]


class _Change(Struct, tag_field="type"):
    action: Action
    id: Id
    at: At


class ProjectChanged(_Change, tag="project"):
    """A project of the caller's changed."""


class ConversationChange(_Change, tag="conversation"):
    """A conversation changed."""

    project_id: Annotated[ProjectId | UnsetType, Meta(description="The project that it belongs to.")] = UNSET


class FileChange(_Change, tag="file"):
    """A file came, was read, was changed, or went."""

    project_id: Annotated[ProjectId | UnsetType, Meta(description="The project that it belongs to.")] = UNSET
    status: Status = UNSET


class UrlChange(_Change, tag="url"):
    """A web page came, was fetched, was changed, or went."""

    project_id: Annotated[ProjectId | UnsetType, Meta(description="The project that it belongs to.")] = UNSET
    status: Status = UNSET


class RunChange(_Change, tag="run"):
    """A run, which makes an answer, began to wait or ended."""

    conversation_id: Annotated[ConversationId | UnsetType, Meta(description="The conversation that it belongs to.")] = (
        UNSET
    )
    status: Status = UNSET


class RefusedEvent(Struct, tag_field="type", tag="error"):
    """A message of the client's was refused."""

    title: Annotated[str, Meta(description="What a person reads first.")]
    status: Annotated[int, Meta(description="The status that it would have over HTTP.")]
    detail: Annotated[str, Meta(description="What was tried, what happened, what to do.")]
    code: Annotated[str, Meta(description="What a program looks at; it never changes.")]
    request_id: Annotated[str, Meta(description="Stands in the log too.")]
    errors: Annotated[list[FieldProblem] | UnsetType, Meta(description="What is wrong with the message.")] = UNSET


UserEvent = ProjectChanged | ConversationChange | FileChange | UrlChange | RunChange
