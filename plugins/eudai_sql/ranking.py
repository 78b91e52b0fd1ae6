"""BM25 over the postings, the same to the last digit on every database.

Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) with k1 1.2 and b 0.75, and the
inverse document frequency that is never negative, ln(1 + (N - n + 0.5) / (n + 0.5)), over the passages of a project.
Each term's part of a score is rounded to millionths before they are added up as integers: sums of floats would
depend on the order in which a database happens to add them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from eudai_core.model import Passage, SearchHit
from eudai_sql.json_rows import rows_source
from eudai_sql.tables import passages, postings, search_documents, search_projects
from eudai_sql.transaction import Row, Transaction
from eudai_sql.types import CleanText, dump_json
from eudai_sql.url import Dialect

__all__ = ["rank"]

_K1: Final = 1.2
_B: Final = 0.75
_UNIT: Final = 1_000_000

_totals: Final = (
    sa.select(
        search_projects.c.id,
        sa.func.coalesce(sa.func.sum(search_documents.c.passages), 0),
        sa.func.coalesce(sa.func.sum(search_documents.c.terms), 0),
    )
    .join_from(search_projects, search_documents, search_documents.c.scope == search_projects.c.id)
    .where(search_projects.c.project_id == sa.bindparam("project"), search_documents.c.ready)
    .group_by(search_projects.c.id)
)
_ready: Final = sa.select(search_documents.c.id).where(
    search_documents.c.scope == sa.bindparam("scope"), search_documents.c.ready
)
_frequencies: Final = (
    sa.select(postings.c.term, sa.func.count())
    .where(
        postings.c.scope == sa.bindparam("scope"),
        postings.c.term.in_(sa.bindparam("terms", expanding=True, type_=CleanText())),
        postings.c.document.in_(_ready),
    )
    .group_by(postings.c.term)
)


def _best_statement(dialect: Dialect) -> sa.TextualSelect:
    asked = rows_source(dialect, "asked", {"term": "text", "weight": "float"})
    # Casting truncates on SQLite; PostgreSQL would round to even.
    rounded = "cast({} as integer)" if dialect == "sqlite" else "cast(trunc({}) as bigint)"
    share = rounded.format(
        f"cast({_UNIT} as double precision) * given.weight * p.frequency"
        " / (p.frequency + :flat + :slope * p.length) + cast(0.5 as double precision)"
    )
    matched = "group_concat(p.term, char(10))" if dialect == "sqlite" else "string_agg(p.term, chr(10))"
    text = f"""
        with scored as (
            select p.passage, p.document, sum({share}) as score, {matched} as matched
            from {asked} join postings p on p.scope = :scope and p.term = given.term
            group by p.passage, p.document
        ), best as (
            select s.passage, s.score, s.matched, d.document_id, d.version, d.name
            from scored s join search_documents d on d.id = s.document
            where d.ready and s.score > 0
            order by s.score desc, d.document_id, s.passage
            limit :most
        )
        select b.document_id, b.version, b.name,
            t.number, t.char_start, t.char_end, t.text, t.heading, b.score, b.matched
        from best b join passages t on t.id = b.passage
        order by b.score desc, b.document_id, b.passage
    """  # noqa: S608 -- made of constants
    columns = (search_documents.c.document_id, search_documents.c.version, search_documents.c.name)
    place = (passages.c.number, passages.c.char_start, passages.c.char_end, passages.c.text, passages.c.heading)
    return (
        sa.text(text)
        .bindparams(
            sa.bindparam("flat", type_=sa.Double()),
            sa.bindparam("slope", type_=sa.Double()),
            sa.bindparam("most", type_=sa.Integer()),
        )
        .columns(*columns, *place, sa.column("score", sa.BigInteger()), sa.column("matched", sa.Text()))
    )


_best: Final[Mapping[Dialect, Any]] = {
    "postgresql": _best_statement("postgresql"),
    "sqlite": _best_statement("sqlite"),
}


async def rank(tx: Transaction, project_id: Any, terms: Mapping[str, float], limit: int) -> Sequence[SearchHit]:
    """Return the best passages of a project, best first; ties by document, then by passage."""
    totals = await tx.row(_totals, {"project": project_id})
    if totals is None or not totals[1]:
        return []
    scope, passage_count, term_count = totals
    found = await tx.rows(_frequencies, {"scope": scope, "terms": list(terms)}, slow=True)
    if not found:
        return []
    weights = [
        {"term": term, "weight": terms[term] * _idf(passage_count, frequency) * (_K1 + 1)} for term, frequency in found
    ]
    values = {
        "asked": dump_json(weights),
        "scope": scope,
        "flat": _K1 * (1 - _B),
        "slope": _K1 * _B * passage_count / max(int(term_count), 1),
        "most": limit,
    }
    return [_hit(row) for row in await tx.rows(_best[tx.dialect], values, slow=True)]


def _idf(passage_count: int, frequency: int) -> float:
    return math.log(1 + (passage_count - frequency + 0.5) / (frequency + 0.5))


def _hit(row: Row) -> SearchHit:
    document_id, version, name, number, start, end, text, heading, score, matched = row
    passage = Passage(number=number, start=start, end=end, text=text, heading=heading)
    return SearchHit(document_id, version, name, passage, float(score) / _UNIT, tuple(sorted(matched.split("\n"))))
