"""The search index: BM25, the same on both dialects."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from eudai_core.contracts import SearchIndex, Storage
from eudai_core.errors import Conflict, NotFound, PluginError
from eudai_core.ids import new_id
from eudai_core.model import Passage, SearchDocument, SearchHit, SearchScope
from eudai_core.text import tokenise
from eudai_sql.search_index import SqlSearchIndex
from eudai_sql.storage import SqlStorage, open_storage
from support.sql_rows import Rows

WORDS = ["pool", "engine", "reader", "writer", "lock", "page", "cache", "token", "stream", "answer", "river", "bank"]


@pytest.fixture
def index(storage: SqlStorage) -> SqlSearchIndex:
    return SqlSearchIndex(storage, asyncio.to_thread)


def passage(number: int, text: str, heading: str = "") -> Passage:
    return Passage(number=number, start=number * 100, end=number * 100 + len(text), text=text, heading=heading)


async def put(
    index: SearchIndex, project_id: UUID, document_id: UUID, version: int, name: str, passages: Sequence[Passage]
) -> None:
    await index.put([SearchDocument(SearchScope(project_id), document_id, version, name, passages)])


async def search(index: SearchIndex, rows: Rows, text: str, limit: int = 10) -> list[SearchHit]:
    terms = dict.fromkeys(tokenise(text), 1.0)
    return list(await index.search(terms, scopes=[SearchScope(rows.project.id)], limit=limit))


def test_index_is_what_the_contract_says(index: SqlSearchIndex) -> None:
    kept: SearchIndex = index
    assert isinstance(kept, SearchIndex)


async def test_passage_is_found_by_text_heading_and_name(index: SqlSearchIndex, rows: Rows) -> None:
    document = new_id()
    found = passage(0, "Der Strom fließt über Jahre.", heading="Rivers")
    await put(index, rows.project.id, document, 3, "geography-notes.md", [found, passage(1, "else")])
    for question in ("strom", "river", "geography"):
        hits = await search(index, rows, question)
        assert (hits[0].document_id, hits[0].version, hits[0].name) == (document, 3, "geography-notes.md")
        assert found in [hit.passage for hit in hits]
    assert set((await search(index, rows, "strom missing"))[0].matched) == set(tokenise("strom"))
    assert await search(index, rows, "missing") == []
    assert await search(index, rows, "") == []
    assert await search(index, rows, "strom", limit=0) == []


async def test_other_projects_are_not_found(index: SqlSearchIndex, rows: Rows) -> None:
    other = await rows.add_project()
    await put(index, other.id, new_id(), 1, "a", [passage(0, "pool")])
    assert await search(index, rows, "pool") == []
    with pytest.raises(NotFound):
        await put(index, new_id(), new_id(), 1, "a", [passage(0, "pool")])


async def test_new_version_stands_in_place_of_the_old_one(index: SqlSearchIndex, rows: Rows) -> None:
    document = new_id()
    await put(index, rows.project.id, document, 1, "a", [passage(0, "pool"), passage(1, "river")])
    await put(index, rows.project.id, document, 2, "a", [passage(0, "river bank")])
    assert await search(index, rows, "pool") == []
    assert [hit.version for hit in await search(index, rows, "river")] == [2]
    await put(index, rows.project.id, document, 3, "a", [])
    assert await search(index, rows, "river") == []


async def test_removed_document_is_not_found(index: SqlSearchIndex, rows: Rows) -> None:
    document = new_id()
    await put(index, rows.project.id, document, 1, "a", [passage(0, "pool")])
    await index.remove(document)
    await index.remove(document)
    assert await search(index, rows, "pool") == []


async def test_half_stored_version_is_found_by_nobody(storage: SqlStorage, rows: Rows, index: SqlSearchIndex) -> None:
    document = new_id()
    await put(index, rows.project.id, document, 1, "a", [passage(0, "pool")])
    before = await search(index, rows, "pool lock")

    built = 0

    async def broken(function: Callable[..., Any], *arguments: Any) -> Any:
        nonlocal built
        built += 1
        if built > 1:
            raise ConnectionError
        return function(*arguments)

    long = [passage(number, "lock pool") for number in range(1200)]
    with pytest.raises(ConnectionError):
        await put(SqlSearchIndex(storage, broken), rows.project.id, document, 2, "a", long)
    assert await search(index, rows, "pool lock") == before
    await put(index, rows.project.id, document, 2, "a", [passage(0, "lock")])
    assert [hit.version for hit in await search(index, rows, "pool lock")] == [2]


async def test_document_removed_while_it_is_indexed_stays_removed(
    storage: SqlStorage, rows: Rows, index: SqlSearchIndex
) -> None:
    document = new_id()

    async def remove_first(function: Callable[..., Any], *arguments: Any) -> Any:
        await index.remove(document)
        return function(*arguments)

    long = [passage(number, "lock pool") for number in range(501)]
    with pytest.raises(Conflict):
        await put(SqlSearchIndex(storage, remove_first), rows.project.id, document, 1, "a", long)
    assert await search(index, rows, "pool") == []


async def test_deleting_the_project_empties_its_index(storage: SqlStorage, rows: Rows, index: SqlSearchIndex) -> None:
    await put(index, rows.project.id, new_id(), 1, "a", [passage(0, "pool")])
    async with storage.unit_of_work() as work:
        await work.projects.delete(rows.project.id)
        await work.commit()
    assert await search(index, rows, "pool") == []


async def test_equal_scores_stand_by_document_and_then_by_number(index: SqlSearchIndex, rows: Rows) -> None:
    documents = sorted(new_id() for _ in range(3))
    for document in documents[::-1]:
        await put(index, rows.project.id, document, 1, "a", [passage(1, "pool"), passage(0, "pool")])
    hits = await search(index, rows, "pool", limit=5)
    expected = [(document, number) for document in documents for number in (0, 1)]
    assert [(hit.document_id, hit.passage.number) for hit in hits] == expected[:5]


def shape(hits: Sequence[SearchHit]) -> list[tuple[Any, ...]]:
    """Return all of some hits but the project, which every test has its own of."""
    return [(hit.document_id, hit.passage, hit.score, hit.matched) for hit in hits]


def corpus(seed: int) -> dict[UUID, list[Passage]]:
    chance = random.Random(seed)
    return {
        UUID(int=chance.getrandbits(128)): [
            passage(number, " ".join(chance.choices(WORDS, k=chance.randint(1, 40)))) for number in range(30)
        ]
        for _ in range(4)
    }


def expected_scores(documents: dict[UUID, list[Passage]], terms: dict[str, float]) -> dict[tuple[UUID, int], float]:
    """BM25 by the book."""
    counts = {
        (document, one.number): Counter(tokenise("notes") + tokenise(one.text))
        for document, passages in documents.items()
        for one in passages
    }
    average = sum(sum(count.values()) for count in counts.values()) / len(counts)
    scores: dict[tuple[UUID, int], float] = {}
    for term, weight in terms.items():
        holders = [key for key, count in counts.items() if count[term]]
        idf = math.log(1 + (len(counts) - len(holders) + 0.5) / (len(holders) + 0.5))
        for key in holders:
            frequency, length = counts[key][term], sum(counts[key].values())
            part = idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / average))
            scores[key] = scores.get(key, 0.0) + weight * part
    return scores


async def filled(storage: SqlStorage, documents: dict[UUID, list[Passage]]) -> tuple[SqlSearchIndex, Rows]:
    rows, index = Rows(storage), SqlSearchIndex(storage, asyncio.to_thread)
    await rows.begin()
    for document, passages in documents.items():
        await put(index, rows.project.id, document, 1, "notes", passages)
    return index, rows


async def test_scores_are_those_of_the_formula(storage: SqlStorage) -> None:
    documents = corpus(1)
    index, rows = await filled(storage, documents)
    terms = {"pool": 1.0, "lock": 0.5, tokenise("engine")[0]: 0.1, "note": 0.3, "absent": 1.0, "river": 0.0}
    expected = expected_scores(documents, {term: weight for term, weight in terms.items() if weight})
    hits = await index.search(terms, scopes=[SearchScope(rows.project.id)], limit=1000)
    assert len(hits) == len(expected)
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.document_id, hit.passage.number], abs=4e-6)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.fixture
async def both(sqlite_url: str, postgres_url: str) -> AsyncIterator[list[SqlStorage]]:
    storages = [open_storage(sqlite_url), open_storage(postgres_url)]
    yield storages
    for storage in storages:
        await storage.aclose()


async def test_ranking_is_the_same_on_both_dialects(both: list[SqlStorage]) -> None:
    documents = corpus(2)
    chance = random.Random(3)
    questions = [{term: chance.choice((1.0, 0.5, 0.4, 0.1)) for term in chance.sample(WORDS, 4)} for _ in range(25)]
    found = []
    for storage in both:
        index, rows = await filled(storage, documents)
        scopes = [SearchScope(rows.project.id)]
        found.append([await index.search(terms, scopes=scopes, limit=40) for terms in questions])
    assert [shape(hits) for hits in found[0]] == [shape(hits) for hits in found[1]]
    assert all(found[0])


async def test_any_text_may_be_asked(index: SqlSearchIndex, rows: Rows) -> None:
    await put(index, rows.project.id, new_id(), 1, "a", [passage(0, "C++ AND foo-bar's \"pool\" % _ ' ; --")])
    terms = dict.fromkeys(["pool", "'; drop table users; --", "%", "_", "𝄞", "x" * 5000, ":most", "\\"], 1.0)
    assert len(await index.search(terms, scopes=[SearchScope(rows.project.id)], limit=5)) == 1
    many = {f"term{number}": 1.0 for number in range(300)} | {"pool": 1.0}
    assert len(await index.search(many, scopes=[SearchScope(rows.project.id)], limit=5)) == 1


async def test_index_needs_a_storage_of_its_own_kind() -> None:
    class Other:
        def unit_of_work(self, *, readonly: bool = False) -> object:
            return object()

    other: Any = Other()
    kept: Storage = other
    with pytest.raises(PluginError, match="needs the storage"):
        await SqlSearchIndex(kept, asyncio.to_thread).remove(new_id())


async def test_weights_that_no_score_can_hold_are_bounded(index: SqlSearchIndex, rows: Rows) -> None:
    await put(index, rows.project.id, new_id(), 1, "a", [passage(0, "pool"), passage(1, "lock river")])

    async def scores(weight: float) -> list[float]:
        found = await index.search({"pool": weight, "lock": 1.0}, scopes=[SearchScope(rows.project.id)], limit=5)
        return [hit.score for hit in found]

    heaviest = await scores(1000.0)
    assert heaviest[0] > 100 * heaviest[1]
    for weight in (1000.1, 1e18, 1e300, math.inf):
        assert await scores(weight) == heaviest
    for weight in (0.0, -1.0, -math.inf, math.nan):
        assert await scores(weight) == heaviest[1:]
