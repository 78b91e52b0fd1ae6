"""What a project's knowledge is made of: files, instructions, their versions, blocks and passages of text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

__all__ = [
    "BlobInfo",
    "Block",
    "DocumentStatus",
    "DocumentVersion",
    "FileRecord",
    "Instruction",
    "InstructionVersion",
    "Passage",
    "Url",
]


class DocumentStatus(StrEnum):
    """How far the ingest of a document's version has come."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A stored blob: its key in the store, its size in bytes and the SHA-256 of its bytes in hex."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """One immutable version of a file or a page: its bytes, and what was read out of them.

    ``owner_type`` is "file" or "url", and ``owner_id`` the id of that. ``text_sha256`` names the extracted text among
    the stored texts; ``characters`` are code points of it, ``tokens`` an estimate.
    """

    id: UUID
    owner_type: str
    owner_id: UUID
    project_id: UUID
    number: int
    sha256: str
    blob_key: str
    media_type: str
    size: int
    created_at: datetime
    status: DocumentStatus = DocumentStatus.PENDING
    error: str | None = None
    text_sha256: str | None = None
    characters: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class FileRecord:
    """An uploaded file. ``filename`` is the user's data and never a path; ``current`` is its newest version."""

    id: UUID
    project_id: UUID
    filename: str
    uploaded_at: datetime
    uploaded_by: UUID
    current: DocumentVersion
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Instruction:
    """A standing instruction of a project; enabled ones are sent in the order of ``position``, then of creation."""

    id: UUID
    project_id: UUID
    instruction_text: str
    created_at: datetime
    position: int = 0
    enabled: bool = True
    version: int = 1


@dataclass(frozen=True, slots=True)
class InstructionVersion:
    """What an instruction said in one of its versions, from ``created_at`` on."""

    number: int
    instruction_text: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Url:
    """A web page that a project knows. ``title`` is the page's own; ``current`` is what was fetched last, if ever.

    ``status`` and ``error`` tell how the newest fetch went, which may have left ``current`` as it was.
    """

    id: UUID
    project_id: UUID
    url: str
    description: str
    added_by: UUID
    created_at: datetime
    title: str = ""
    status: DocumentStatus = DocumentStatus.PENDING
    error: str | None = None
    fetched_at: datetime | None = None
    current: DocumentVersion | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of text that an extractor found, in reading order, with its place in the original (1-based)."""

    text: str
    page: int | None = None
    heading: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document's text: code points ``start`` to ``end``, the nearest heading, and its place in order."""

    number: int
    start: int
    end: int
    text: str
    heading: str = ""
