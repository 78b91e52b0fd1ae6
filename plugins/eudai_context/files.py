"""The source of a project's files and pages: all in full while they fit, else pinned ones in full and passages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from eudai_context.documents import Document, documents_of, file_id, hit_segment, passage_segment, whole_segment
from eudai_context.paragraphs import ParagraphChunker
from eudai_core.contracts import PluginContext, SearchIndex, Storage
from eudai_core.errors import ConfigError, NotFound
from eudai_core.model import ContextQuery, SearchScope, Segment
from eudai_core.text import tokenise

__all__ = ["FileSource", "file_id", "file_source"]

_BACK: Final = 0.85
"""The part of their share below which files go back from passages to full text; between it and 1 nothing changes."""

_TOKENS_PER_PASSAGE: Final = 180
_FEWEST: Final = 16
_MOST: Final = 100
"""Passages that are asked of the index: so many, by the share of files."""

_STARTS: Final = 12
"""Files whose beginning is read when the index finds too little."""

_FRAME_TOKENS: Final = 30
"""What the frame around a file takes beside its text."""


class FileSource:
    """Offers files and pages; see eudai_core.contracts.ContextSource.

    Sizes decide before anything is read: a text is loaded only when it is offered in full. While a new version is
    being read, passages of the one before are offered, which the index still has.
    """

    def __init__(self, storage: Storage, search: SearchIndex) -> None:
        """Read from ``storage``, and find passages in ``search``."""
        self._storage = storage
        self._search = search
        self._chunker = ParagraphChunker()

    async def collect(self, query: ContextQuery) -> Sequence[Segment]:
        """Return what is pinned and, when all fit, the others in full; else the best passages of the others."""
        async with self._storage.unit_of_work(readonly=True) as work:
            found = await documents_of(work, query.project_id)
        ready = [document for document in found if document.ready]
        rest = {document.id: document for document in found if document.replaced}
        if not _fit_whole(ready, query):
            rest |= {document.id: document for document in ready if not document.pinned}
        whole = await self._whole([document for document in ready if document.id not in rest])
        return [*whole, *await self._passages(query, rest)] if rest else whole

    async def _whole(self, documents: Sequence[Document]) -> list[Segment]:
        texts: list[tuple[Document, str]] = []
        if documents:
            async with self._storage.unit_of_work(readonly=True) as work:
                for document in documents:
                    try:
                        texts.append((document, await work.documents.text_of(document.current.id)))
                    except NotFound:
                        continue  # deleted since the list was read
        return [whole_segment(document, text) for document, text in texts if text.strip()]

    async def _passages(self, query: ContextQuery, documents: Mapping[UUID, Document]) -> list[Segment]:
        limit = min(_MOST, max(_FEWEST, query.evidence_tokens // _TOKENS_PER_PASSAGE)) + len(query.placed)
        try:
            hits = await self._search.search(query.terms, scopes=[SearchScope(query.project_id)], limit=limit)
        except ConfigError:
            hits = ()  # the operator runs without a search index: beginnings of files are better than nothing
        segments = [hit_segment(documents[hit.document_id], hit) for hit in hits if hit.document_id in documents]
        wanted = min(query.evidence_tokens // _TOKENS_PER_PASSAGE, _FEWEST)
        if len(segments) < wanted:
            known = {segment.id for segment in segments}
            starts = await self._starts(query, documents.values())
            segments += [start for start in starts if start.id not in known][: wanted - len(segments)]
        return segments

    async def _starts(self, query: ContextQuery, documents: Iterable[Document]) -> list[Segment]:
        """Return the first passages of documents, those first whose name is in the question."""
        ordered = sorted(documents, key=lambda document: -_named(document, query))[:_STARTS]
        found: list[Segment] = []
        async with self._storage.unit_of_work(readonly=True) as work:
            for document in ordered:
                version = document.current
                try:
                    text = await work.documents.text_of(version.id)
                except NotFound:
                    continue  # deleted since the list was read, or not read yet
                passages = self._chunker.split(text, name=document.name, media_type=version.media_type)
                first = next(passages, None)
                if first is not None:
                    start = passage_segment(document, document.name, version.number, first, 0.0, "file start")
                    found.append(start)
        return found


def _fit_whole(documents: Sequence[Document], query: ContextQuery) -> bool:
    """Decide whether all documents are sent in full, by their sizes and by what the previous prompt held."""
    total = sum(document.current.tokens + _FRAME_TOKENS for document in documents)
    ids = {document.cited(document.current.number) for document in documents if not document.pinned}
    in_passages = any(one.partition(":")[0] in ids and ":" in one for one in query.placed) and not ids & query.placed
    return total <= query.evidence_tokens * (_BACK if in_passages else 1.0)


def _named(document: Document, query: ContextQuery) -> float:
    """Tell how strongly the question names a document."""
    return sum(query.terms.get(term, 0.0) for term in set(tokenise(document.name)))


def file_source(context: PluginContext) -> FileSource:
    """Make the source."""
    return FileSource(context.storage, context.search)
