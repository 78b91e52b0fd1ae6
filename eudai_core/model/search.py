"""What is put into the search index, what it finds, and what people are shown of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from eudai_core.model.content import Passage

__all__ = [
    "Highlight",
    "SearchCollection",
    "SearchDocument",
    "SearchHit",
    "SearchResult",
    "SearchScope",
    "Snippet",
]


class SearchCollection(StrEnum):
    """What kind of documents a scope holds: what answers may quote, or what was said in conversations."""

    DOCUMENTS = "documents"
    MESSAGES = "messages"


@dataclass(frozen=True, slots=True)
class SearchScope:
    """The documents of one kind in one project: what is searched is a choice of scopes."""

    project_id: UUID
    collection: SearchCollection = SearchCollection.DOCUMENTS


@dataclass(frozen=True, slots=True)
class SearchDocument:
    """A document to index. ``name`` and the passages' headings are found like their texts.

    ``group`` is the conversation that it belongs to and that it vanishes with. Without ``keeps_text`` the index keeps
    no copy of the passages' texts and headings, and its hits come without them: for documents that are read again.
    """

    scope: SearchScope
    id: UUID
    version: int
    name: str
    passages: Sequence[Passage]
    group: UUID | None = None
    keeps_text: bool = True


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A passage that a search found, in the version of the document that is indexed, and the terms found in it."""

    document_id: UUID
    version: int
    name: str
    passage: Passage
    score: float
    scope: SearchScope
    group: UUID | None = None
    matched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Highlight:
    """A stretch of a snippet that was asked for: code points ``start`` to ``end``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Snippet:
    """A stretch of a text that shows why it was found."""

    text: str
    highlights: Sequence[Highlight] = ()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What somebody searched for: a message, file or page. ``name`` is the title of its conversation or its own."""

    type: str
    id: UUID
    project_id: UUID
    conversation_id: UUID | None
    name: str
    snippet: Snippet
    score: float
    timestamp: datetime
