"""Searching: what is read of the index, and in which order; eudai_sql.scoring does the arithmetic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from eudai_core.model import Passage, SearchCollection, SearchHit, SearchScope
from eudai_sql.json_rows import key_text, rows_source
from eudai_sql.packing import unpack, unpack_rising
from eudai_sql.scoring import UNIT, Part, score
from eudai_sql.segments import find_lists, page_of
from eudai_sql.tables import passages, search_documents, search_scopes
from eudai_sql.transaction import Row, Transaction
from eudai_sql.types import dump_json
from eudai_sql.url import Dialect

__all__ = ["RunBlocking", "rank"]

RunBlocking = Callable[..., Awaitable[Any]]


def _scoped(dialect: Dialect, rest: str) -> sa.TextClause:
    scopes = rows_source(dialect, "scopes", {"project": "id", "collection": "text"})
    joined = "join search_scopes c on c.project_id = given.project and c.collection = given.collection"
    return sa.text(rest.format(scopes=f"{scopes} {joined}"))


def _best_statement(dialect: Dialect) -> sa.TextualSelect:
    given = rows_source(dialect, "found", {"passage": "integer", "score": "integer"})
    text = f"""
        with best as (
            select given.score, given.passage, p.number, d.document_id, d.version, d.name, d.group_id, d.scope
            from {given} join passages p on p.id = given.passage join search_documents d on d.id = p.document
            order by given.score desc, d.document_id, p.number
            limit :most
        )
        select b.score, b.passage, b.document_id, b.version, b.name, b.group_id, c.project_id, c.collection,
            t.number, t.char_start, t.char_end, t.text, t.heading
        from best b join passages t on t.id = b.passage join search_scopes c on c.id = b.scope
        order by b.score desc, b.document_id, b.number
    """  # noqa: S608 -- made of constants
    documents = search_documents.c
    return (
        sa.text(text)
        .bindparams(sa.bindparam("most", type_=sa.Integer()))
        .columns(
            sa.column("score", sa.BigInteger()),
            sa.column("passage", sa.BigInteger()),
            *(documents.document_id, documents.version, documents.name, documents.group_id),
            *(search_scopes.c.project_id, search_scopes.c.collection),
            *(passages.c[name] for name in ("number", "char_start", "char_end", "text", "heading")),
        )
    )


class _Statements:
    """The statements of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.segments = _scoped(
            dialect,
            "select s.id, s.pages, s.members, s.lengths from {scopes} join search_segments s on s.scope = c.id"
            " where s.document is null order by s.id",
        )
        self.removed = _scoped(dialect, "select r.passage from {scopes} join search_removed r on r.scope = c.id")
        pages = rows_source(dialect, "pages", {"segment": "integer", "page": "integer"})
        self.postings = sa.text(
            f"select p.segment, p.data from {pages}"  # noqa: S608 -- made of constants
            " join postings p on p.segment = given.segment and p.page = given.page"
        )
        self.best = _best_statement(dialect)


_statements: Final[Mapping[Dialect, _Statements]] = {
    "postgresql": _Statements("postgresql"),
    "sqlite": _Statements("sqlite"),
}


async def rank(
    tx: Transaction, run_blocking: RunBlocking, scopes: Sequence[SearchScope], terms: Mapping[str, float], limit: int
) -> Sequence[SearchHit]:
    """Return the best passages of some scopes, best first; ties by document, then by number.

    ``tx`` sees one state of the database. Nothing that grows with the index is worked out on the event loop.
    """
    statements = _statements[tx.dialect]
    given = {"scopes": dump_json([_scope_row(scope) for scope in dict.fromkeys(scopes)])}
    segments = await tx.rows(statements.segments, given, slow=True)
    if not segments:
        return []
    removed = {row[0] for row in await tx.rows(statements.removed, given, slow=True)}
    asked = await run_blocking(_wanted_pages, segments, list(terms))
    pages = await tx.rows(statements.postings, {"pages": asked}, slow=True)
    found: _Found = await run_blocking(_find, segments, removed, pages, terms, limit)
    if not found.places:
        return []
    rows = await tx.rows(statements.best, {"found": found.rows, "most": limit}, slow=True)
    matched = await run_blocking(_matched, found, [row.passage for row in rows])
    return [_hit(row, names) for row, names in zip(rows, matched, strict=True)]


@dataclass(frozen=True, slots=True)
class _Found:
    """The best passages by their keys: what is asked of the database, and where they are."""

    rows: str
    places: Mapping[int, tuple[Part, int]]


def _scope_row(scope: SearchScope) -> dict[str, str]:
    return {"project": key_text(scope.project_id), "collection": scope.collection.value}


def _wanted_pages(segments: Sequence[Row], terms: Sequence[str]) -> str:
    encoded = [term.encode(errors="surrogatepass") for term in terms]
    return dump_json(
        [
            {"segment": key, "page": page}
            for key, pages, *_ in segments
            for page in sorted({page_of(term, pages) for term in encoded})
        ]
    )


def _find(
    segments: Sequence[Row], removed: set[int], pages: Sequence[Row], terms: Mapping[str, float], limit: int
) -> _Found:
    parts = {key: Part(unpack(lengths, lengths[0], 1), _places(keys, removed)) for key, _, keys, lengths in segments}
    encoded = {term.encode(errors="surrogatepass"): term for term in terms}
    for segment, data in pages:
        for term, found in find_lists(data, encoded):
            parts[segment].lists[encoded[term]] = found
    order = list(parts.values())
    best = score(order, terms, limit)
    keys = {index: unpack_rising(segments[index].members) for index in {one.part for one in best}}
    return _Found(
        dump_json([{"passage": keys[one.part][one.place], "score": one.score} for one in best]),
        {keys[one.part][one.place]: (order[one.part], one.place) for one in best},
    )


def _places(keys: bytes, removed: set[int]) -> frozenset[int]:
    if not removed:
        return frozenset()
    return frozenset(place for place, key in enumerate(unpack_rising(keys)) if key in removed)


def _matched(found: _Found, passages: Sequence[int]) -> list[tuple[str, ...]]:
    """Return the terms that each of some passages has."""
    matched: list[tuple[str, ...]] = []
    for key in passages:
        part, place = found.places[key]
        matched.append(tuple(sorted(term for term in part.lists if part.has(term, place))))
    return matched


def _hit(row: Row, matched: tuple[str, ...]) -> SearchHit:
    points, _, document_id, version, name, group, project_id, collection, number, start, end, text, heading = row
    passage = Passage(number=number, start=start, end=end, text=text, heading=heading)
    scope = SearchScope(project_id, SearchCollection(collection))
    return SearchHit(document_id, version, name, passage, float(points) / UNIT, scope, group, matched)
