"""Answers, member by member, with the names of the contract's section 7.

A member that has a default is always sent; one that may be missing is UNSET.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from eudai_core import model as core
from eudai_quart.wire.fields import CreatedAt, Id, Moment, ProjectId, UpdatedAt, Version

__all__ = [
    "Alive",
    "Check",
    "Counts",
    "Done",
    "File",
    "Health",
    "Instruction",
    "Items",
    "Model",
    "Plugin",
    "Project",
    "ProjectSettings",
    "Tokens",
    "User",
    "page",
]

T = TypeVar("T")
S = TypeVar("S")


class Items(Struct, Generic[T]):
    """A page of a list."""

    items: Annotated[list[T], Meta(description="The items of this page.")]
    next: Annotated[str | None, Meta(description="The `cursor` of the next page; null on the last one.")] = None


def page(found: core.Page[S], convert: Callable[[S], T]) -> Items[T]:
    """Return a page of the model as one of answers."""
    return Items([convert(item) for item in found.items], found.next)


class User(Struct):
    """An account."""

    id: Id
    username: Annotated[str, Meta(description="Its name, as it was chosen.", examples=["ada"])]
    email: Annotated[str, Meta(description="Its e-mail address.", examples=["ada@example.org"])]
    is_admin: Annotated[bool, Meta(description="Whether it may use the paths of administrators.")]
    created_at: CreatedAt

    @classmethod
    def of(cls, user: core.User) -> User:
        """Convert."""
        return cls(user.id, user.username, user.email, user.is_admin, user.created_at)


class Tokens(Struct):
    """What a log-in gives."""

    access_token: Annotated[str, Meta(description="Goes into the header `Authorization: Bearer …`.")]
    refresh_token: Annotated[str, Meta(description="Gives new tokens, once.")]
    expires_in: Annotated[int, Meta(description="Seconds for which the access token is good.")]
    user: Annotated[User, Meta(description="The account.")]
    token_type: Annotated[Literal["bearer"], Meta(description="Of RFC 6750.")] = "bearer"  # noqa: S105 -- a scheme's name

    @classmethod
    def of(cls, pair: core.TokenPair) -> Tokens:
        """Convert."""
        return cls(pair.access_token, pair.refresh_token, pair.expires_in, User.of(pair.user))


class ProjectSettings(Struct):
    """The settings that a project has; one that is not set is missing."""

    model: Annotated[str | UnsetType, Meta(description="The model of its conversations.")] = UNSET
    overflow: Annotated[
        str | UnsetType, Meta(description="What is done when a conversation outgrows the model's window.")
    ] = UNSET
    retention_days: Annotated[int | UnsetType, Meta(description="Days for which conversations are kept.")] = UNSET

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> ProjectSettings:
        """Convert."""
        return cls(*(settings.get(name, UNSET) for name in cls.__struct_fields__))


class Counts(Struct):
    """How many things a project holds."""

    files: Annotated[int, Meta(description="Files.")]
    urls: Annotated[int, Meta(description="Web pages.")]
    instructions: Annotated[int, Meta(description="Standing instructions.")]
    conversations: Annotated[int, Meta(description="Conversations.")]

    @classmethod
    def of(cls, counts: core.ProjectCounts) -> Counts:
        """Convert."""
        return cls(counts.files, counts.urls, counts.instructions, counts.conversations)


class Project(Struct):
    """A project: what holds instructions, files, web pages and conversations."""

    id: Id
    name: Annotated[str, Meta(description="Its name.")]
    description: Annotated[str, Meta(description="What it is about.")]
    settings: Annotated[ProjectSettings, Meta(description="Its settings.")]
    counts: Annotated[Counts, Meta(description="How many things it holds.")]
    created_at: CreatedAt
    updated_at: UpdatedAt

    @classmethod
    def of(cls, project: core.Project) -> Project:
        """Convert."""
        return cls(
            project.id,
            project.name,
            project.description,
            ProjectSettings.of(project.settings),
            Counts.of(project.counts),
            project.created_at,
            project.updated_at,
        )


class File(Struct):
    """A file of a project, in its newest version."""

    id: Id
    project_id: ProjectId
    filename: Annotated[str, Meta(description="Its name; never a path.")]
    media_type: Annotated[str, Meta(description="What its bytes look like, whatever the upload said.")]
    size: Annotated[int, Meta(description="Bytes.")]
    sha256: Annotated[str, Meta(description="The SHA-256 of its bytes, in hex.")]
    status: Annotated[core.DocumentStatus, Meta(description="How far reading its text has come.")]
    error: Annotated[str | None, Meta(description="Why its text could not be read.")]
    pinned: Annotated[bool, Meta(description="Whether it is always sent in full.")]
    version: Version
    characters: Annotated[int, Meta(description="Code points of its text.")]
    tokens: Annotated[int, Meta(description="Tokens of its text, estimated.")]
    uploaded_at: Annotated[Moment, Meta(description="When it was uploaded.")]
    uploaded_by: Annotated[UUID, Meta(description="The account that uploaded it.")]
    preview: Annotated[str | None, Meta(description="The beginning of its text; null in lists.")] = None

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
            status=current.status,
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
    """A standing instruction of a project."""

    id: Id
    project_id: ProjectId
    instruction_text: Annotated[str, Meta(description="What the model is to heed.")]
    position: Annotated[int, Meta(description="Where it stands; the lowest first.")]
    enabled: Annotated[bool, Meta(description="Whether it is sent.")]
    version: Version
    created_at: CreatedAt

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


class Done(Struct):
    """Nothing more to tell."""


class Model(Struct):
    """A model that can be asked."""

    name: Annotated[str, Meta(description="Its name, which requests give as `model`.")]
    backend: Annotated[str, Meta(description="The LLM backend that offers it.")]
    window: Annotated[int, Meta(description="Tokens of prompt and answer together.")]
    max_answer_tokens: Annotated[int, Meta(description="Tokens of an answer at most.")]
    capabilities: Annotated[list[str], Meta(description="Of `thinking`, `tools`, `vision`, `embed`.")]
    size: Annotated[int | None, Meta(description="Bytes.")]
    family: Annotated[str | None, Meta(description="The family that it belongs to.")]
    description: Annotated[str, Meta(description="What it is.")]
    is_language_model: Annotated[bool, Meta(description="False for a stand-in that quotes the project's texts.")]

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


class Check(Struct):
    """How one part of the server is."""

    status: Annotated[core.HealthStatus, Meta(description="How it is.")]
    detail: Annotated[str | UnsetType, Meta(description="Why, for administrators.")] = UNSET


class Plugin(Struct):
    """How one plugin is."""

    name: Annotated[str, Meta(description="Its name.")]
    distribution: Annotated[str, Meta(description="The distribution that brought it.")]
    version: Annotated[str, Meta(description="The version of that distribution.")]
    status: Annotated[core.PluginStatus, Meta(description="Where in its life it stands.")]
    detail: Annotated[str, Meta(description="Why.")]
    import_ms: Annotated[float, Meta(description="Milliseconds that its import took.")]
    hooks: Annotated[list[str], Meta(description="The hooks that it implements.")]
    faults: Annotated[dict[str, int], Meta(description="Failed calls since the start, by hook or contract.")]

    @classmethod
    def of(cls, state: core.PluginState) -> Plugin:
        """Convert."""
        return cls(
            state.name,
            state.distribution,
            state.version,
            state.status,
            state.detail,
            state.import_ms,
            list(state.hooks),
            dict(state.faults),
        )


class Health(Struct):
    """How the server is."""

    status: Annotated[
        str,
        Meta(
            description="`degraded` serves, perhaps without a model; `down` and `draining` do not.",
            extra_json_schema={"enum": ["ok", "degraded", "down", "draining"]},
        ),
    ]
    version: Annotated[str, Meta(description="The version of eudai.")]
    checks: Annotated[dict[str, Check], Meta(description="Its parts.")]
    plugins: Annotated[list[Plugin] | UnsetType, Meta(description="Its plugins, for administrators.")] = UNSET


class Alive(Struct):
    """The event loop turns."""

    status: Annotated[Literal["ok"], Meta(description="Always `ok`.")] = "ok"
