"""Searching one's own messages, files and pages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from eudai_core.contracts import SearchIndex, Storage
from eudai_core.errors import FieldError, Forbidden, InvalidInput, NotFound, Unavailable
from eudai_core.model import (
    Conversation,
    FileRecord,
    Identity,
    Message,
    Page,
    ResourceRef,
    SearchCollection,
    SearchHit,
    SearchResult,
    SearchScope,
    Url,
)
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import SEARCH_INDEXES
from eudai_core.services.access import Access
from eudai_core.services.fields import check_limit, check_text
from eudai_core.services.projects import Projects
from eudai_core.text import snippet, tokenise

__all__ = ["SEARCH_TYPES", "Search"]

SEARCH_TYPES: Final = {
    "message": SearchCollection.MESSAGES,
    "file": SearchCollection.DOCUMENTS,
    "url": SearchCollection.DOCUMENTS,
}
"""What can be searched for, and where it is."""
QUESTION_LENGTH: Final = 10_000
MOST_TERMS: Final = 64
"""Terms of a question that count, the first ones."""
DEPTH: Final = 1000
"""Passages that are looked at, at most: nobody pages further, and each page costs what all before it cost."""
_FEWEST: Final = 100
_CURSOR: Final = re.compile(rb"search:([1-9][0-9]{0,3})")


class Search:
    """Finds what people said, were answered and uploaded."""

    def __init__(self, host: PluginHost, storage: Storage, access: Access, projects: Projects) -> None:
        self._host = host
        self._storage = storage
        self._access = access
        self._projects = projects

    async def find(
        self,
        identity: Identity,
        q: str,
        *,
        types: Collection[str] = tuple(SEARCH_TYPES),
        project_id: UUID | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[SearchResult]:
        """Return the caller's messages, files and pages that match best, best first, each once with its best passage.

        What was deleted since it was indexed, or is of another type, is left out: a page may be shorter than ``limit``
        before the end.

        Raises:
            InvalidInput: the question is empty, too long or not storable, or a type or the cursor is none of ours.
            NotFound: the project is not the caller's.
            Unavailable: there is no search index.
        """
        check_text("$.q", q, longest=QUESTION_LENGTH, shortest=1)
        wanted = _checked_types(types)
        collections = sorted({SEARCH_TYPES[name] for name in wanted})
        first, limit = _position(cursor), check_limit(limit)
        index = self._host.find(SEARCH_INDEXES)
        if index is None:
            raise Unavailable("This server runs without a search index.")
        projects = await self._projects_of(identity, project_id)
        scopes = [SearchScope(project, collection) for project in projects for collection in collections]
        terms = dict.fromkeys(list(dict.fromkeys(await self._host.run_blocking(tokenise, q)))[:MOST_TERMS], 1.0)
        found = await _best_of_each(index, terms, scopes, first + limit + 1)
        following = first + limit if first + limit < min(len(found), DEPTH) else None
        items = await self._results(identity, found[first : first + limit], terms, wanted)
        return Page(items, None if following is None else _cursor(following))

    async def _projects_of(self, identity: Identity, project_id: UUID | None) -> Sequence[UUID]:
        if project_id is not None:
            return [(await self._projects.get(identity, project_id)).id]
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.projects.ids(identity.user_id)

    async def _results(
        self, identity: Identity, hits: Sequence[SearchHit], terms: Mapping[str, float], types: Collection[str]
    ) -> Sequence[SearchResult]:
        denied = await self._denied(identity, {hit.scope.project_id for hit in hits})
        hits = [hit for hit in hits if hit.scope.project_id not in denied]
        said = [hit.document_id for hit in hits if hit.scope.collection is SearchCollection.MESSAGES]
        kept = [hit.document_id for hit in hits if hit.scope.collection is SearchCollection.DOCUMENTS]
        async with self._storage.unit_of_work(readonly=True) as unit:
            messages = await unit.messages.many(said)
            talks = await unit.conversations.many(sorted({one.conversation_id for one in messages.values()}))
            files = await unit.documents.many_files(kept) if "file" in types else {}
            pages = await unit.urls.many(kept) if "url" in types else {}
        return await self._host.run_blocking(_shown, hits, messages, talks, files, pages, frozenset(terms))

    async def _denied(self, identity: Identity, projects: Collection[UUID]) -> set[UUID]:
        """Return the projects that a policy of the operator keeps the caller from reading."""
        denied: set[UUID] = set()
        for project_id in projects:
            try:
                await self._access.check(identity, "read", ResourceRef("project", project_id, identity.user_id))
            except (Forbidden, NotFound):
                denied.add(project_id)
        return denied


async def _best_of_each(
    index: SearchIndex, terms: Mapping[str, float], scopes: Sequence[SearchScope], wanted: int
) -> list[SearchHit]:
    """Return the best passage of each document, best first, until there are ``wanted`` or no more."""
    limit = min(max(_FEWEST, 2 * wanted), DEPTH)
    while True:
        hits = await index.search(terms, scopes=scopes, limit=limit)
        best: dict[UUID, SearchHit] = {}
        for hit in hits:
            best.setdefault(hit.document_id, hit)
        if len(best) >= wanted or len(hits) < limit or limit >= DEPTH:
            return list(best.values())
        limit = min(limit * 4, DEPTH)


def _shown(
    hits: Sequence[SearchHit],
    messages: Mapping[UUID, Message],
    talks: Mapping[UUID, Conversation],
    files: Mapping[UUID, FileRecord],
    pages: Mapping[UUID, Url],
    terms: frozenset[str],
) -> list[SearchResult]:
    """Return what is shown of each hit that is still there. Runs in a thread: snippets take time."""
    results: list[SearchResult] = []
    for hit in hits:
        message = messages.get(hit.document_id)
        file = files.get(hit.document_id)
        if message is not None and message.conversation_id in talks:
            results.append(_message(hit, message, talks[message.conversation_id], terms))
        elif file is not None:
            results.append(_file(hit, file, terms))
        elif hit.document_id in pages:
            results.append(_page(hit, pages[hit.document_id], terms))
    return results


def _message(hit: SearchHit, message: Message, talk: Conversation, terms: frozenset[str]) -> SearchResult:
    text = message.text[hit.passage.start : hit.passage.end]
    shown = snippet(text, terms)
    return SearchResult(
        "message", message.id, talk.project_id, talk.id, talk.title, shown, hit.score, message.timestamp
    )


def _file(hit: SearchHit, file: FileRecord, terms: frozenset[str]) -> SearchResult:
    shown = snippet(hit.passage.text, terms)
    return SearchResult("file", file.id, file.project_id, None, file.filename, shown, hit.score, file.uploaded_at)


def _page(hit: SearchHit, page: Url, terms: frozenset[str]) -> SearchResult:
    shown, at = snippet(hit.passage.text, terms), page.fetched_at or page.created_at
    return SearchResult("url", page.id, page.project_id, None, page.title or page.url, shown, hit.score, at)


def _checked_types(types: Collection[str]) -> list[str]:
    unknown = sorted(set(types) - set(SEARCH_TYPES))
    if unknown or not types:
        problem = f"must be one or more of {', '.join(SEARCH_TYPES)}, parted by commas"
        raise InvalidInput(f"type {problem}.", errors=(FieldError("$.type", problem),))
    return sorted(set(types))


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        match = _CURSOR.fullmatch(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error):
        match = None
    if match is None or int(match[1]) >= DEPTH:
        problem = "is not a cursor that this server gave"
        raise InvalidInput("The cursor is not one of this list.", errors=(FieldError("$.cursor", problem),))
    return int(match[1])


def _cursor(position: int) -> str:
    return base64.b64encode(f"search:{position}".encode(), altchars=b"-_").decode("ascii")
