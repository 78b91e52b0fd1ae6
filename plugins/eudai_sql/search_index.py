"""The search index in the storage's own database."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from eudai_core.contracts import Storage
from eudai_core.errors import Conflict, PluginError, Unavailable
from eudai_core.model import Passage, SearchDocument, SearchHit, SearchScope
from eudai_core.text import tokenise
from eudai_sql import index_rows
from eudai_sql.ranking import RunBlocking, rank
from eudai_sql.segments import Segment, build
from eudai_sql.tidying import tidy
from eudai_sql.unit_of_work import SqlUnitOfWork

__all__ = ["SqlSearchIndex"]

_log: Final = logging.getLogger(__name__)
_BATCH: Final = 500
"""Passages stored by one transaction: small enough to let others write in between on SQLite."""
_LONGEST_TERM: Final = 200
"""Code points of the longest term that is indexed."""
_HEAVIEST: Final = 1000.0
"""Scores are whole numbers of 64 bits, also those of very many terms."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The documents of one scope that are stored by one transaction, and their postings."""

    documents: Sequence[SearchDocument]
    segment: Segment


class SqlSearchIndex:
    """See eudai_core.contracts.SearchIndex.

    Small documents are stored by one transaction, many of them together. A long one is stored in several, found by
    nobody, and published in one: a search sees all of it or nothing, and other writers never wait long. What a crash
    leaves behind is removed when the document is next put.
    """

    def __init__(self, storage: Storage, run_blocking: RunBlocking) -> None:
        """Index into the database of ``storage``, working on texts and postings through ``run_blocking``."""
        self._storage = storage
        self._run_blocking = run_blocking

    async def put(self, documents: Sequence[SearchDocument]) -> None:
        """Index versions of documents, each in place of any other version of it: all or nothing of each.

        Raises:
            NotFound: a project is not there.
            Conflict: a long document was removed, or put again, while it was stored.
        """
        for batch in _batches({document.id: document for document in documents}.values()):
            if len(batch) == 1 and len(batch[0].passages) > _BATCH:
                await self._put_long(batch[0])
            else:
                await self._put_together(batch)

    async def remove(self, key: UUID) -> None:
        """Forget the document of this id, or every document of this group; none is no error."""
        while (scopes := await self._forget(key)) is None:
            _log.debug("what is to be removed from the search index was moved meanwhile; trying again")
        await self._tidy(scopes, purge=True)

    async def search(
        self, terms: Mapping[str, float], *, scopes: Sequence[SearchScope], limit: int
    ) -> Sequence[SearchHit]:
        """Return the best passages of some scopes for weighted terms, best first; ties by document, then by number."""
        asked = {
            term: min(weight, _HEAVIEST) for term, weight in terms.items() if weight > 0 and len(term) <= _LONGEST_TERM
        }
        if not asked or not scopes or limit <= 0:
            return []
        async with self._work(readonly=True) as work:
            return await rank(work.transaction, self._run_blocking, scopes, asked, limit)

    def _work(self, *, readonly: bool = False) -> SqlUnitOfWork:
        work = self._storage.unit_of_work(readonly=readonly)
        if not isinstance(work, SqlUnitOfWork):
            raise PluginError("The search index 'sql' needs the storage 'sql': choose another search_index.")
        return work

    async def _put_together(self, documents: Sequence[SearchDocument]) -> None:
        prepared: list[_Prepared] = await self._run_blocking(_prepare, documents)
        async with self._work() as work:
            tx = work.transaction
            scopes = await index_rows.open_scopes(tx, documents)
            gone = await index_rows.gone_groups(tx, documents)
            if not gone:
                replaced = await index_rows.remove_documents(tx, [document.id for document in documents])
                for one in prepared:
                    await self._store(work, one, scopes)
                await work.commit()
        left = [document for document in documents if document.group not in gone]
        if not gone:
            await self._tidy([*scopes.values(), *replaced], purge=bool(replaced))
        elif left:
            await self._put_together(left)

    async def _store(self, work: SqlUnitOfWork, prepared: _Prepared, scopes: Mapping[SearchScope, int]) -> None:
        documents = [document for document in prepared.documents if document.passages]
        if not documents:
            return
        keys = await index_rows.add_documents(work.transaction, documents, scopes, ready=True)
        found = [
            (key, passage, document.keeps_text)
            for key, document in zip(keys, documents, strict=True)
            for passage in _ordered(document.passages)
        ]
        passages = await index_rows.add_passages(
            work.transaction, [(key, passage) for key, passage, _ in found], [kept for *_, kept in found]
        )
        await index_rows.add_segment(work.transaction, scopes[documents[0].scope], passages, prepared.segment)

    async def _put_long(self, document: SearchDocument) -> None:
        begun = await self._begin(document)
        if begun is None:
            return
        scope, key = begun
        ordered = _ordered(document.passages)
        for start in range(0, len(ordered), _BATCH):
            batch = ordered[start : start + _BATCH]
            segment: Segment = await self._run_blocking(_segment, [(document.name, batch)])
            async with self._work() as work:
                tx = work.transaction
                await self._must_be_there(work, document, scope, key)
                passages = await index_rows.add_passages(
                    tx, [(key, passage) for passage in batch], [document.keeps_text] * len(batch)
                )
                await index_rows.add_segment(tx, scope, passages, segment, document=key)
                await work.commit()
        async with self._work() as work:
            await self._must_be_there(work, document, scope, key)
            replaced = await index_rows.remove_documents(work.transaction, [document.id], spared=key)
            await index_rows.publish(work.transaction, key)
            await work.commit()
        await self._tidy([scope, *replaced], purge=bool(replaced))

    async def _begin(self, document: SearchDocument) -> tuple[int, int] | None:
        """Return the keys of a document's scope and of the document, which nobody finds yet; None when it is gone."""
        async with self._work() as work:
            scopes = await index_rows.open_scopes(work.transaction, [document])
            if await index_rows.gone_groups(work.transaction, [document]):
                return None
            await index_rows.remove_unfinished(work.transaction, document.id)
            (key,) = await index_rows.add_documents(work.transaction, [document], scopes, ready=False)
            await work.commit()
        return scopes[document.scope], key

    async def _forget(self, key: UUID) -> set[int] | None:
        async with self._work() as work:
            try:
                scopes = await index_rows.forget(work.transaction, key)
            except Conflict:
                return None
            await work.commit()
        return scopes

    async def _must_be_there(self, work: SqlUnitOfWork, document: SearchDocument, scope: int, key: int) -> None:
        held = await index_rows.hold_scopes(work.transaction, [scope], [document.id])
        if scope not in held or not await index_rows.is_there(work.transaction, key):
            raise Conflict(
                "The document was removed or indexed anew while it was being indexed; nothing of this was kept."
            )

    async def _tidy(self, scopes: Iterable[int], *, purge: bool) -> None:
        """Put in order what was stored; when that cannot be done now, the next one does it."""
        try:
            for scope in sorted(set(scopes)):
                await tidy(self._work, self._run_blocking, scope, purge=purge)
        except Unavailable as error:
            _log.info("the search index was not tidied: %s", error.detail)


def _batches(documents: Iterable[SearchDocument]) -> Iterator[list[SearchDocument]]:
    """Give documents that are stored together; a long one alone. One without passages counts as one of them."""
    batch: list[SearchDocument] = []
    size = 0
    for document in documents:
        more = max(len(document.passages), 1)
        if batch and size + more > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += more
    if batch:
        yield batch


def _prepare(documents: Sequence[SearchDocument]) -> list[_Prepared]:
    """Runs in a thread."""
    by_scope: dict[SearchScope, list[SearchDocument]] = {}
    for document in documents:
        by_scope.setdefault(document.scope, []).append(document)
    return [
        _Prepared(found, _segment([(document.name, _ordered(document.passages)) for document in found]))
        for found in by_scope.values()
    ]


def _segment(documents: Sequence[tuple[str, Sequence[Passage]]]) -> Segment:
    return build([terms for name, passages in documents for terms in _terms_of(name, passages)])


def _terms_of(name: str, passages: Sequence[Passage]) -> list[Mapping[str, int]]:
    """Return how often each term stands in each passage, its document's name and its heading."""
    of_name = tokenise(name)
    return [
        Counter(
            term
            for term in (*of_name, *tokenise(passage.heading), *tokenise(passage.text))
            if len(term) <= _LONGEST_TERM
        )
        for passage in passages
    ]


def _ordered(passages: Sequence[Passage]) -> list[Passage]:
    return sorted(passages, key=lambda passage: passage.number)
