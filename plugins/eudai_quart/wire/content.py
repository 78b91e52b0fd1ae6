"""Files, pages and instructions as they are changed, and their versions (contract, sections 1 and 7)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from eudai_core import model as core
from eudai_core.services.addresses import ADDRESS_LENGTH
from eudai_core.services.fetching import state_of
from eudai_core.services.filenames import FILENAME_LENGTH
from eudai_quart.wire.fields import FILLED, LARGEST, CreatedAt, Description, Id, Moment, ProjectId, Version
from eudai_quart.wire.requests import Strict

__all__ = ["DocumentVersion", "FilePatch", "InstructionVersion", "NewUrl", "Url", "UrlChange", "Versioned"]

Filename = Annotated[str, Meta(min_length=1, max_length=FILENAME_LENGTH, pattern=FILLED)]
Address = Annotated[str, Meta(min_length=1, max_length=ADDRESS_LENGTH)]
Number = Annotated[int, Meta(ge=1, le=LARGEST)]


class Versioned(Strict, frozen=True):
    """The query of a file's download."""

    version: Annotated[Number | None, Meta(description="The version to give; the newest one without it.")] = None


class FilePatch(Strict, frozen=True):
    """What to change of a file; what is left out, or null, stays."""

    filename: Annotated[Filename | None, Meta(description="Its name; never a path.", examples=["notes.md"])] = None
    pinned: Annotated[bool | None, Meta(description="Whether it is always sent in full.")] = None


class NewUrl(Strict, frozen=True):
    """A new page."""

    url: Annotated[
        Address,
        Meta(description="Its address: http or https, without credentials.", examples=["https://example.org/roses"]),
    ]
    description: Annotated[Description, Meta(description="What it is about.")] = ""


class UrlChange(Strict, frozen=True):
    """What to change of a page; what is left out, or null, stays."""

    url: Annotated[Address | None, Meta(description="Its address; a new one is fetched.")] = None
    description: Annotated[Description | None, Meta(description="What it is about.")] = None
    pinned: Annotated[bool | None, Meta(description="Whether it is always sent in full.")] = None


class DocumentVersion(Struct):
    """One version of a file, or of what was fetched of a page."""

    version: Annotated[int, Meta(description="Its number, from 1.")]
    media_type: Annotated[str, Meta(description="What its bytes look like.")]
    size: Annotated[int, Meta(description="Bytes.")]
    sha256: Annotated[str, Meta(description="The SHA-256 of its bytes, in hex.")]
    status: Annotated[core.DocumentStatus, Meta(description="How far reading its text has come.")]
    error: Annotated[str | None, Meta(description="Why its text could not be read.")]
    characters: Annotated[int, Meta(description="Code points of its text.")]
    tokens: Annotated[int, Meta(description="Tokens of its text, estimated.")]
    created_at: CreatedAt

    @classmethod
    def of(cls, version: core.DocumentVersion) -> DocumentVersion:
        """Convert; where its bytes are kept is not told."""
        return cls(
            version.number,
            version.media_type,
            version.size,
            version.sha256,
            version.status,
            version.error,
            version.characters,
            version.tokens,
            version.created_at,
        )


class InstructionVersion(Struct):
    """What an instruction said."""

    version: Annotated[int, Meta(description="The version in which it began to say so.")]
    instruction_text: Annotated[str, Meta(description="What the model was to heed.")]
    created_at: Annotated[datetime, Meta(tz=True, description="When it began to say so.")]

    @classmethod
    def of(cls, version: core.InstructionVersion) -> InstructionVersion:
        """Convert."""
        return cls(version.number, version.instruction_text, version.created_at)


class Url(Struct):
    """A web page of a project, as it was fetched last."""

    id: Id
    project_id: ProjectId
    url: Annotated[str, Meta(description="Its address, in its normal form.")]
    description: Annotated[str, Meta(description="What it is about.")]
    title: Annotated[str, Meta(description="Its own title; empty when it has none, or is not fetched yet.")]
    status: Annotated[core.DocumentStatus, Meta(description="How far fetching it and reading its text have come.")]
    error: Annotated[str | None, Meta(description="Why it could not be fetched or read.")]
    pinned: Annotated[bool, Meta(description="Whether it is always sent in full.")]
    version: Annotated[Version | None, Meta(description="The number of its newest version; null before the first.")]
    fetched_at: Annotated[Moment | None, Meta(description="When it was fetched last; null before the first time.")]
    added_by: Annotated[UUID, Meta(description="The account that added it.")]
    created_at: CreatedAt

    @classmethod
    def of(cls, page: core.Url) -> Url:
        """Convert."""
        status, error = state_of(page)
        return cls(
            id=page.id,
            project_id=page.project_id,
            url=page.url,
            description=page.description,
            title=page.title,
            status=status,
            error=error,
            pinned=page.pinned,
            version=None if page.current is None else page.current.number,
            fetched_at=page.fetched_at,
            added_by=page.added_by,
            created_at=page.created_at,
        )
