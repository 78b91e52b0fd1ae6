"""Files and pages as prompts quote them: in full, or a passage at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from eudai_core.contracts import UnitOfWork
from eudai_core.model import (
    DocumentStatus,
    DocumentVersion,
    FileRecord,
    Origin,
    Passage,
    SearchHit,
    Segment,
    SegmentKind,
    Stability,
    Url,
)

__all__ = ["Document", "documents_of", "file_id", "hit_segment", "passage_segment", "whole_segment"]

_TYPES: Final = {SegmentKind.FILE: "file", SegmentKind.PAGE: "url"}
_LETTERS: Final = {SegmentKind.FILE: "f", SegmentKind.PAGE: "p"}


@dataclass(frozen=True, slots=True)
class Document:
    """A file, or a page of which something was fetched; ``current`` is its newest version."""

    kind: SegmentKind
    id: UUID
    name: str
    pinned: bool
    added_at: datetime
    current: DocumentVersion

    @property
    def ready(self) -> bool:
        """Whether the newest version was read."""
        return self.current.status is DocumentStatus.READY

    @property
    def replaced(self) -> bool:
        """Whether a newer version is being read, while the index has the one before."""
        return self.current.status is DocumentStatus.PENDING and self.current.number > 1

    def cited(self, version: int) -> str:
        """Return the id by which a version is cited: a letter and 7 hex digits, and the number from the second on."""
        return _cited(_LETTERS[self.kind], self.id, version)

    def origin(self, name: str, version: int, passage: Passage | None = None) -> Origin:
        """Return where a text of it comes from."""
        start, end = (None, None) if passage is None else (passage.start, passage.end)
        return Origin(_TYPES[self.kind], str(self.id), name, version, start, end)


def file_id(document_id: UUID, version: int) -> str:
    """Return the id by which a version of a file is cited."""
    return _cited(_LETTERS[SegmentKind.FILE], document_id, version)


async def documents_of(work: UnitOfWork, project_id: UUID) -> Sequence[Document]:
    """Return every file and page of a project, files first, oldest first."""
    files = [_of_file(file) for file in await work.documents.all_files(project_id)]
    pages = [_of_page(page, page.current) for page in await work.urls.all(project_id) if page.current is not None]
    return [*files, *pages]


def whole_segment(document: Document, text: str) -> Segment:
    """Return a document in full."""
    version = document.current.number
    return Segment(
        kind=document.kind,
        text=text,
        origin=document.origin(document.name, version),
        stability=Stability.STATIC,
        id=document.cited(version),
        order=(0 if document.pinned else 1, document.added_at.isoformat(), str(document.id)),
        required=document.pinned,
        reason="pinned, in full" if document.pinned else "in full: all files fit",
    )


def hit_segment(document: Document, hit: SearchHit) -> Segment:
    """Return a passage that was found, in the version that the index has."""
    matched = ", ".join(hit.matched[:8])
    reason = f"matches {matched}" if matched else "matches the question"
    return passage_segment(document, hit.name, hit.version, hit.passage, hit.score, reason)


def passage_segment(
    document: Document, name: str, version: int, passage: Passage, score: float, reason: str
) -> Segment:
    """Return a passage of a version that had this name."""
    return Segment(
        kind=document.kind,
        text=passage.text,
        origin=document.origin(name, version, passage),
        stability=Stability.TURN,
        id=f"{document.cited(version)}:{passage.number}",
        order=(name, str(document.id), passage.number),
        score=score,
        reason=reason,
    )


def _cited(letter: str, document_id: UUID, version: int) -> str:
    short = hashlib.sha256(str(document_id).encode()).hexdigest()[:7]
    return f"{letter}{short}" if version == 1 else f"{letter}{short}v{version}"


def _of_file(file: FileRecord) -> Document:
    return Document(SegmentKind.FILE, file.id, file.filename, file.pinned, file.uploaded_at, file.current)


def _of_page(page: Url, current: DocumentVersion) -> Document:
    return Document(SegmentKind.PAGE, page.id, page.title or page.url, page.pinned, page.created_at, current)
