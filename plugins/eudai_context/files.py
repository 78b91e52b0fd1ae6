"""The source of a project's files: all of them in full while they fit, else pinned ones in full and passages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from eudai_context.paragraphs import ParagraphChunker
from eudai_core.contracts import PluginContext, SearchIndex, Storage
from eudai_core.errors import ConfigError, NotFound
from eudai_core.model import (
    ContextQuery,
    DocumentStatus,
    FileRecord,
    Origin,
    Passage,
    SearchHit,
    Segment,
    SegmentKind,
    Stability,
)
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


def file_id(document_id: UUID, version: int) -> str:
    """Return the id by which a file is cited: ``f`` and 7 hex digits, and the version from the second one on."""
    short = hashlib.sha256(str(document_id).encode()).hexdigest()[:7]
    return f"f{short}" if version == 1 else f"f{short}v{version}"


class FileSource:
    """Offers files; see eudai_core.contracts.ContextSource.

    Sizes decide before anything is read: the text of a file is loaded only when it is offered in full.
    """

    def __init__(self, storage: Storage, search: SearchIndex) -> None:
        """Read from ``storage``, and find passages in ``search``."""
        self._storage = storage
        self._search = search
        self._chunker = ParagraphChunker()

    async def collect(self, query: ContextQuery) -> Sequence[Segment]:
        """Return pinned files and, when all fit, the others in full; else the best passages of the others."""
        async with self._storage.unit_of_work(readonly=True) as work:
            found = await work.documents.all_files(query.project_id)
        files = [file for file in found if file.current.status is DocumentStatus.READY]
        if _fit_whole(files, query):
            return await self._whole(files)
        pinned = [file for file in files if file.pinned]
        rest = {file.id: file for file in files if not file.pinned}
        whole = await self._whole(pinned)
        return [*whole, *await self._passages(query, rest)] if rest else whole

    async def _whole(self, files: Sequence[FileRecord]) -> list[Segment]:
        texts: list[tuple[FileRecord, str]] = []
        if files:
            async with self._storage.unit_of_work(readonly=True) as work:
                for file in files:
                    try:
                        texts.append((file, await work.documents.text_of(file.current.id)))
                    except NotFound:
                        continue  # deleted since the list was read
        return [_whole_segment(file, text) for file, text in texts if text.strip()]

    async def _passages(self, query: ContextQuery, files: dict[UUID, FileRecord]) -> list[Segment]:
        limit = min(_MOST, max(_FEWEST, query.evidence_tokens // _TOKENS_PER_PASSAGE)) + len(query.placed)
        try:
            hits = await self._search.search(query.terms, project_id=query.project_id, limit=limit)
        except ConfigError:
            hits = ()  # the operator runs without a search index: beginnings of files are better than nothing
        # A version that is not the current one is in the index only while its successor is being read.
        segments = [_hit_segment(hit) for hit in hits if hit.document_id in files]
        wanted = min(query.evidence_tokens // _TOKENS_PER_PASSAGE, _FEWEST)
        if len(segments) < wanted:
            known = {segment.id for segment in segments}
            starts = await self._starts(query, files.values())
            segments += [start for start in starts if start.id not in known][: wanted - len(segments)]
        return segments

    async def _starts(self, query: ContextQuery, files: Iterable[FileRecord]) -> list[Segment]:
        """Return the first passages of files, those first whose name is in the question."""
        ordered = sorted(files, key=lambda file: -_named(file, query))[:_STARTS]
        found: list[Segment] = []
        async with self._storage.unit_of_work(readonly=True) as work:
            for file in ordered:
                try:
                    text = await work.documents.text_of(file.current.id)
                except NotFound:
                    continue  # deleted since the list was read
                version = file.current
                passages = self._chunker.split(text, name=file.filename, media_type=version.media_type)
                first = next(passages, None)
                if first is not None:
                    found.append(_passage_segment(file.id, version.number, file.filename, first, None, "file start"))
        return found


def _fit_whole(files: Sequence[FileRecord], query: ContextQuery) -> bool:
    """Decide whether all files are sent in full, by their sizes and by what the previous prompt held."""
    total = sum(file.current.tokens + _FRAME_TOKENS for file in files)
    ids = {file_id(file.id, file.current.number) for file in files if not file.pinned}
    in_passages = any(one.partition(":")[0] in ids and ":" in one for one in query.placed) and not ids & query.placed
    return total <= query.evidence_tokens * (_BACK if in_passages else 1.0)


def _named(file: FileRecord, query: ContextQuery) -> float:
    """Tell how strongly the question names a file."""
    return sum(query.terms.get(term, 0.0) for term in set(tokenise(file.filename)))


def _whole_segment(file: FileRecord, text: str) -> Segment:
    version = file.current.number
    return Segment(
        kind=SegmentKind.FILE,
        text=text,
        origin=Origin("file", str(file.id), file.filename, version),
        stability=Stability.STATIC,
        id=file_id(file.id, version),
        order=(0 if file.pinned else 1, file.uploaded_at.isoformat(), str(file.id)),
        required=file.pinned,
        reason="pinned, in full" if file.pinned else "in full: all files fit",
    )


def _hit_segment(hit: SearchHit) -> Segment:
    matched = ", ".join(hit.matched[:8])
    reason = f"matches {matched}" if matched else "matches the question"
    return _passage_segment(hit.document_id, hit.version, hit.name, hit.passage, hit.score, reason)


def _passage_segment(
    document_id: UUID, version: int, name: str, passage: Passage, score: float | None, reason: str
) -> Segment:
    return Segment(
        kind=SegmentKind.FILE,
        text=passage.text,
        origin=Origin("file", str(document_id), name, version, passage.start, passage.end),
        stability=Stability.TURN,
        id=f"{file_id(document_id, version)}:{passage.number}",
        order=(name, str(document_id), passage.number),
        score=0.0 if score is None else score,
        reason=reason,
    )


def file_source(context: PluginContext) -> FileSource:
    """Make the source."""
    return FileSource(context.storage, context.search)
