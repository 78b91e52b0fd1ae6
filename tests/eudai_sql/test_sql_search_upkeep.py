"""The search index over time: what comes and goes leaves the ranking of what is there, and nothing else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from eudai_core.errors import NotFound, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import Passage, SearchCollection, SearchDocument, SearchHit, SearchScope
from eudai_sql.search_index import SqlSearchIndex
from eudai_sql.storage import SqlStorage, open_storage
from support.sql_rows import Rows

WORDS = [f"word{number}" for number in range(60)]
TABLES = ("search_documents", "passages", "search_segments", "postings", "search_removed")


@pytest.fixture
def index(storage: SqlStorage) -> SqlSearchIndex:
    return SqlSearchIndex(storage, asyncio.to_thread)


def said(rows: Rows) -> SearchScope:
    return SearchScope(rows.project.id, SearchCollection.MESSAGES)


def message(scope: SearchScope, text: str, *, key: UUID | None = None, group: UUID | None = None) -> SearchDocument:
    passages = [Passage(0, 0, len(text), text)] if text else []
    return SearchDocument(scope, key or new_id(), 1, "", passages, group=group, keeps_text=False)


def texts(chance: random.Random, count: int) -> list[str]:
    weights = [1 / (rank + 1) for rank in range(len(WORDS))]
    return [" ".join(chance.choices(WORDS, weights, k=chance.randint(1, 30))) for _ in range(count)]


async def counts(storage: SqlStorage) -> dict[str, int]:
    async with storage.unit_of_work(readonly=True) as work:
        found = [await work.transaction.value(sa.text(f"select count(*) from {table}")) for table in TABLES]
    return dict(zip(TABLES, found, strict=True))


async def ask(index: SqlSearchIndex, scopes: Sequence[SearchScope], *words: str, limit: int = 1000) -> list[SearchHit]:
    return list(await index.search(dict.fromkeys(words, 1.0), scopes=scopes, limit=limit))


def shape(hits: Sequence[SearchHit]) -> list[tuple[Any, ...]]:
    return [(hit.document_id, hit.passage.number, hit.score, hit.matched) for hit in hits]


async def test_hits_tell_scope_group_and_place_and_keep_no_text(index: SqlSearchIndex, rows: Rows) -> None:
    document = message(said(rows), "word1 word2", group=rows.conversation.id)
    await index.put([document])
    (hit,) = await ask(index, [said(rows)], "word1", "word9")
    assert (hit.scope, hit.group, hit.document_id) == (said(rows), rows.conversation.id, document.id)
    assert (hit.passage, hit.matched) == (Passage(0, 0, 11, ""), ("word1",))


async def test_messages_are_no_documents_and_do_not_change_their_ranking(index: SqlSearchIndex, rows: Rows) -> None:
    documents = SearchScope(rows.project.id)
    passages = [Passage(number, 0, 5, text) for number, text in enumerate(texts(random.Random(1), 20))]
    await index.put([SearchDocument(documents, new_id(), 1, "a", passages)])
    before = await ask(index, [documents], "word0", "word5")
    await index.put([message(said(rows), text) for text in texts(random.Random(2), 50)])
    assert await ask(index, [documents], "word0", "word5") == before
    both = await ask(index, [documents, said(rows)], "word0", "word5")
    assert {hit.scope for hit in both} == {documents, said(rows)}
    assert len(both) == len(before) + len(await ask(index, [said(rows)], "word0", "word5"))


async def test_scopes_searched_together_are_ranked_as_one(index: SqlSearchIndex, rows: Rows) -> None:
    chance = random.Random(3)
    scopes = [said(rows), SearchScope((await rows.add_project()).id, SearchCollection.MESSAGES)]
    documents = [message(scopes[number % 2], text) for number, text in enumerate(texts(chance, 60))]
    await index.put(documents)
    apart = await ask(index, scopes, "word1", "word7")
    whole = SearchScope((await rows.add_project()).id, SearchCollection.MESSAGES)
    await index.put([message(whole, one.passages[0].text, key=one.id) for one in documents])
    assert await ask(index, scopes, "word1", "word7") == []
    assert shape(await ask(index, [whole], "word1", "word7")) == shape(apart)


async def test_a_thousand_projects_are_searched_at_once(index: SqlSearchIndex, rows: Rows) -> None:
    await index.put([message(said(rows), "word1")])
    nowhere = [SearchScope(new_id(), SearchCollection.MESSAGES) for _ in range(999)]
    assert len(await ask(index, [*nowhere, said(rows), said(rows)], "word1")) == 1
    assert await ask(index, nowhere, "word1") == []
    assert await ask(index, [], "word1") == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_came_and_went_leaves_the_ranking_of_what_is_there(
    storage: SqlStorage, index: SqlSearchIndex, rows: Rows, seed: int
) -> None:
    """Puts, replacements and removals in any order rank as if what is left had been put at once."""
    chance = random.Random(seed)
    scope, there = said(rows), dict[UUID, SearchDocument]()
    for _ in range(40):
        batch = [message(scope, text) for text in texts(chance, chance.randint(1, 12))]
        for old in chance.sample(sorted(there), min(len(there), 3)):
            if chance.random() < 0.5:
                batch.append(message(scope, texts(chance, 1)[0], key=old))
            else:
                await index.remove(old)
                del there[old]
        await index.put(batch)
        there.update((document.id, document) for document in batch)
    fresh = SearchScope((await rows.add_project()).id, SearchCollection.MESSAGES)
    questions = [chance.sample(WORDS, chance.randint(1, 5)) for _ in range(20)]
    found = [shape(await ask(index, [scope], *words, limit=15)) for words in questions]
    assert any(found)
    left = await counts(storage)
    assert left["search_segments"] < 30
    assert left["passages"] == left["search_documents"] == len(there)
    await index.put([message(fresh, one.passages[0].text, key=one.id) for one in there.values()])
    assert [shape(await ask(index, [fresh], *words, limit=15)) for words in questions] == found


async def test_removing_a_group_leaves_nothing_of_it(storage: SqlStorage, index: SqlSearchIndex, rows: Rows) -> None:
    other = await rows.add_conversation()
    keep = message(said(rows), "word1 word2", group=other.id)
    await index.put([message(said(rows), text, group=rows.conversation.id) for text in texts(random.Random(4), 30)])
    await index.put([keep])
    await index.remove(rows.conversation.id)
    assert [hit.document_id for hit in await ask(index, [said(rows)], *WORDS)] == [keep.id]
    await index.remove(rows.conversation.id)
    await index.remove(other.id)
    assert set((await counts(storage)).values()) == {0}


async def test_documents_of_a_group_that_is_gone_are_left_out(
    storage: SqlStorage, index: SqlSearchIndex, rows: Rows
) -> None:
    late = message(said(rows), "word1", group=rows.conversation.id)
    stays = message(said(rows), "word1")
    long = SearchDocument(
        said(rows), new_id(), 1, "", [Passage(number, 0, 1, "word1") for number in range(600)], rows.conversation.id
    )
    async with storage.unit_of_work() as work:
        await work.conversations.delete(rows.conversation.id)
        await work.commit()
    await index.put([late, stays, long])
    await index.put([late])
    assert [hit.document_id for hit in await ask(index, [said(rows)], "word1")] == [stays.id]


async def test_nothing_of_a_batch_is_kept_when_a_project_is_missing(
    storage: SqlStorage, index: SqlSearchIndex, rows: Rows
) -> None:
    with pytest.raises(NotFound):
        await index.put([message(said(rows), "word1"), message(SearchScope(new_id()), "word1")])
    assert set((await counts(storage)).values()) == {0}


async def test_deleting_the_project_leaves_no_row(storage: SqlStorage, index: SqlSearchIndex, rows: Rows) -> None:
    await index.put([message(said(rows), text, group=rows.conversation.id) for text in texts(random.Random(5), 20)])
    first = message(said(rows), "word1")
    await index.put([first])
    await index.remove(first.id)
    async with storage.unit_of_work() as work:
        await work.projects.delete(rows.project.id)
        await work.commit()
    assert set((await counts(storage)).values()) == {0}


async def test_an_emptied_document_is_not_found(storage: SqlStorage, index: SqlSearchIndex, rows: Rows) -> None:
    document = message(said(rows), "word1")
    await index.put([document])
    await index.put([message(said(rows), "", key=document.id)])
    assert set((await counts(storage)).values()) == {0}


async def test_two_that_index_the_same_at_once_store_it_once(postgres_url: str) -> None:
    """Two processes over PostgreSQL: neither fails, neither waits for ever, and nothing is there twice."""
    storages = [open_storage(postgres_url), open_storage(postgres_url)]
    try:
        rows = Rows(storages[0])
        await rows.begin()
        indexes = [SqlSearchIndex(storage, asyncio.to_thread) for storage in storages]
        scopes = [said(rows), SearchScope((await rows.add_project()).id, SearchCollection.MESSAGES)]
        documents = [message(scopes[number % 2], text) for number, text in enumerate(texts(random.Random(6), 200))]

        async def work(index: SqlSearchIndex, chance: random.Random) -> None:
            for _ in range(12):
                batch = chance.sample(documents, 40)
                await index.put(batch)
                await index.remove(batch[0].id)
                await index.put(batch[:1])

        async with asyncio.timeout(60):
            await asyncio.gather(*(work(index, random.Random(seed)) for seed, index in enumerate(indexes * 2)))
        await indexes[0].put(documents)
        found = await ask(indexes[1], scopes, *WORDS)
        assert sorted(hit.document_id for hit in found) == sorted(document.id for document in documents)
        assert (await counts(storages[0]))["search_documents"] == len(documents)
    finally:
        for storage in storages:
            await storage.aclose()


async def test_indexing_while_projects_are_deleted_stands_still_nowhere(postgres_url: str) -> None:
    storages = [open_storage(postgres_url), open_storage(postgres_url)]
    try:
        rows = Rows(storages[0])
        await rows.begin()
        projects = [await rows.add_project() for _ in range(6)]
        indexes = [SqlSearchIndex(storage, asyncio.to_thread) for storage in storages]
        scopes = [SearchScope(project.id, SearchCollection.MESSAGES) for project in projects]

        async def fill(index: SqlSearchIndex, seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(15):
                try:
                    await index.put([message(chance.choice(scopes), text) for text in texts(chance, 8)])
                except NotFound:
                    continue

        async def delete() -> None:
            for project in projects:
                async with storages[1].unit_of_work() as work:
                    await work.projects.delete(project.id)
                    await work.commit()

        async with asyncio.timeout(60):
            await asyncio.gather(fill(indexes[0], 1), fill(indexes[1], 2), delete())
        assert set((await counts(storages[0])).values()) == {0}
    finally:
        for storage in storages:
            await storage.aclose()


async def test_merging_keeps_segments_few(storage: SqlStorage, index: SqlSearchIndex, rows: Rows) -> None:
    chance = random.Random(8)
    for text in texts(chance, 100):
        await index.put([message(said(rows), text)])
    assert (await counts(storage))["search_segments"] <= 16


async def test_a_merge_that_fails_does_not_fail_what_was_stored(
    storage: SqlStorage, index: SqlSearchIndex, rows: Rows
) -> None:
    async def fails_to_merge(function: Callable[..., Any], *arguments: Any) -> Any:
        if "merge" in function.__name__:
            raise StorageUnavailable("The database does not answer.")
        return function(*arguments)

    broken = SqlSearchIndex(storage, fails_to_merge)
    documents = [message(said(rows), f"word1 word{number}") for number in range(2, 20)]
    for document in documents:
        await broken.put([document])
    assert (await counts(storage))["search_segments"] == len(documents)
    await index.put([message(said(rows), "word1")])
    assert (await counts(storage))["search_segments"] < 8
    assert len(await ask(index, [said(rows)], "word1")) == len(documents) + 1


async def test_a_merge_that_comes_second_changes_nothing(
    storage: SqlStorage, index: SqlSearchIndex, rows: Rows
) -> None:
    """Two processes merge the same segments at once: whoever is late finds them gone, and lets it be."""
    others = [message(said(rows), f"word1 word{number}") for number in range(2, 9)]
    for document in others:
        await index.put([document])

    async def overtaken(function: Callable[..., Any], *arguments: Any) -> Any:
        if "merge" in function.__name__:
            await index.put([message(said(rows), "word1 word9")])
        return function(*arguments)

    await SqlSearchIndex(storage, overtaken).put([message(said(rows), "word1 word0")])
    assert len(await ask(index, [said(rows)], "word1")) == len(others) + 2
    assert (await counts(storage))["passages"] == len(others) + 2
