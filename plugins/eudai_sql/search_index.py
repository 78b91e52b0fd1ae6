"""The search index in the storage's own database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from eudai_core.contracts import Storage
from eudai_core.errors import Conflict, PluginError
from eudai_core.model import Passage, SearchHit
from eudai_core.text import tokenise
from eudai_sql.ranking import rank
from eudai_sql.tables import passages as passage_table
from eudai_sql.tables import postings, search_documents, search_projects
from eudai_sql.transaction import Transaction
from eudai_sql.unit_of_work import SqlUnitOfWork

__all__ = ["SqlSearchIndex"]

_BATCH: Final = 50
"""Passages stored by one transaction: small enough to let others write in between on SQLite."""
_LONGEST_TERM: Final = 200
"""Code points of the longest term that is indexed; PostgreSQL bounds what an index entry may take."""

_of_document: Final = search_documents.c.document_id == sa.bindparam("document")
_add_project: Final = insert(search_projects).on_conflict_do_nothing()
_scope: Final = sa.select(search_projects.c.id).where(search_projects.c.project_id == sa.bindparam("project"))
_add_document: Final = search_documents.insert().returning(search_documents.c.id)
_this: Final = search_documents.c.id == sa.bindparam("key")
_lock: Final = sa.select(search_documents.c.id).where(_this).with_for_update(read=True)
_add_passages: Final = passage_table.insert().returning(
    passage_table.c.id, passage_table.c.number, sort_by_parameter_order=True
)
_add_postings: Final = postings.insert()
_publish: Final = (
    search_documents.update()
    .where(_this)
    .values(ready=True, passages=sa.bindparam("new_passages"), terms=sa.bindparam("new_terms"))
)
_retire: Final = (
    search_documents.update().where(_of_document, search_documents.c.id != sa.bindparam("key")).values(ready=False)
)
_obsolete: Final = sa.select(search_documents.c.id).where(_of_document, ~search_documents.c.ready)
_some_passages: Final = (
    sa.select(passage_table.c.id).where(passage_table.c.document == sa.bindparam("key")).order_by(passage_table.c.id)
)
_delete: Final = search_documents.delete().where(_this)
_remove: Final = search_documents.delete().where(_of_document)

Terms = Mapping[str, int]


class SqlSearchIndex:
    """See eudai_core.contracts.SearchIndex.

    A version is stored in small transactions, found by nobody, and published in one: a search sees all of it or
    nothing, and other writers never wait long. What a crash leaves behind is removed when the document is next put.
    """

    def __init__(self, storage: Storage, run_blocking: Callable[..., Awaitable[Any]]) -> None:
        """Index into the database of ``storage``, cutting texts into terms through ``run_blocking``."""
        self._storage = storage
        self._run_blocking = run_blocking

    async def put(
        self, project_id: UUID, document_id: UUID, version: int, name: str, passages: Sequence[Passage]
    ) -> None:
        """Index a version of a document in place of any other version of it; all or nothing.

        Raises:
            NotFound: the project is not there.
            Conflict: the document was removed, or put again, while this version was stored.
        """
        scope, key = await self._begin(project_id, document_id, version, name)
        total = 0
        for batch in _batches(sorted(passages, key=lambda passage: passage.number)):
            terms: list[Terms] = await self._run_blocking(_terms_of, name, batch)
            total += sum(sum(found.values()) for found in terms)
            await self._store(scope, key, batch, terms)
        await self._publish(document_id, key, len(passages), total)
        await self._sweep(document_id)

    async def remove(self, document_id: UUID) -> None:
        """Forget a document; one that is not there is no error."""
        async with self._work() as work:
            await work.transaction.run(_remove, {"document": document_id}, slow=True)
            await work.commit()

    async def search(self, terms: Mapping[str, float], *, project_id: UUID, limit: int) -> Sequence[SearchHit]:
        """Return the best passages of a project for weighted terms, best first; ties by document, then by number."""
        asked = {term: weight for term, weight in terms.items() if weight > 0 and len(term) <= _LONGEST_TERM}
        if not asked or limit <= 0:
            return []
        async with self._work(readonly=True) as work:
            return await rank(work.transaction, project_id, asked, limit)

    def _work(self, *, readonly: bool = False) -> SqlUnitOfWork:
        work = self._storage.unit_of_work(readonly=readonly)
        if not isinstance(work, SqlUnitOfWork):
            raise PluginError("The search index 'sql' needs the storage 'sql': choose another search_index.")
        return work

    async def _begin(self, project_id: UUID, document_id: UUID, version: int, name: str) -> tuple[int, int]:
        await self._sweep(document_id)
        async with self._work() as work:
            await work.transaction.run(_add_project, {"project_id": project_id})
            scope = await work.transaction.value(_scope, {"project": project_id})
            values = {
                "scope": scope,
                "document_id": document_id,
                "version": version,
                "name": name,
                "ready": False,
                "passages": 0,
                "terms": 0,
            }
            key = await work.transaction.value(_add_document, values)
            await work.commit()
        return scope, key

    async def _store(self, scope: int, key: int, batch: Sequence[Passage], terms: Sequence[Terms]) -> None:
        async with self._work() as work:
            tx = work.transaction
            await _must_be_there(tx, key)
            rows = await tx.rows(_add_passages, [_passage_row(key, passage) for passage in batch], slow=True)
            found = [
                {"scope": scope, "term": term, "passage": row[0], "document": key, "frequency": count, "length": length}
                for row, counts in zip(rows, terms, strict=True)
                for length in (sum(counts.values()),)
                for term, count in counts.items()
            ]
            if found:
                await tx.run(_add_postings, found, slow=True)
            await work.commit()

    async def _publish(self, document_id: UUID, key: int, passages: int, terms: int) -> None:
        async with self._work() as work:
            tx = work.transaction
            if not await tx.run(_publish, {"key": key, "new_passages": passages, "new_terms": terms}):
                raise _superseded()
            await tx.run(_retire, {"document": document_id, "key": key})
            await work.commit()

    async def _sweep(self, document_id: UUID) -> None:
        """Remove what is not found any more, or never was."""
        async with self._work() as work:
            for (key,) in await work.transaction.rows(_obsolete, {"document": document_id}):
                await work.transaction.run(_delete, {"key": key}, slow=True)
            await work.commit()


async def _must_be_there(tx: Transaction, key: int) -> None:
    if await tx.row(_lock, {"key": key}) is None:
        raise _superseded()


def _superseded() -> Conflict:
    return Conflict("The document was removed or indexed anew while it was being indexed; nothing of this was kept.")


def _terms_of(name: str, passages: Sequence[Passage]) -> list[Terms]:
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


def _passage_row(key: int, passage: Passage) -> dict[str, Any]:
    return {
        "document": key,
        "number": passage.number,
        "char_start": passage.start,
        "char_end": passage.end,
        "heading": passage.heading,
        "text": passage.text,
    }


def _batches(passages: Sequence[Passage]) -> Iterator[Sequence[Passage]]:
    for start in range(0, len(passages), _BATCH):
        yield passages[start : start + _BATCH]
