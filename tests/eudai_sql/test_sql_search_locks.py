"""Indexing beside others: who waits for a scope waits in one order, and patiently."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
import sqlalchemy as sa

from eudai_core.errors import Conflict, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import Passage, SearchDocument, SearchHit, SearchScope
from eudai_sql import index_rows
from eudai_sql.search_index import _BATCH, SqlSearchIndex, _batches
from eudai_sql.storage import SqlStorage, open_storage
from support.sql_rows import Rows

PATIENCE = 2.2
"""Seconds: longer than a database may be silent."""
_SHORT = sa.text("set local lock_timeout = 50")


@pytest.fixture
def index(storage: SqlStorage) -> SqlSearchIndex:
    return SqlSearchIndex(storage, asyncio.to_thread)


def document(scope: SearchScope, key: UUID | None = None, *, passages: int = 1) -> SearchDocument:
    return SearchDocument(scope, key or new_id(), 1, "", [Passage(n, 0, 5, "heron") for n in range(passages)])


async def herons(index: SqlSearchIndex, scopes: Sequence[SearchScope]) -> list[SearchHit]:
    return list(await index.search({"heron": 1.0}, scopes=scopes, limit=5000))


@pytest.mark.parametrize("held", ["search_scopes", "projects"])
async def test_waiting_for_a_busy_scope_is_no_outage(
    postgres_url: str, held: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage, other = open_storage(postgres_url), await asyncpg.connect(postgres_url)
    try:
        rows = Rows(storage)
        await rows.begin()
        index, scope = SqlSearchIndex(storage, asyncio.to_thread), SearchScope(rows.project.id)
        await index.put([document(scope)])
        async with other.transaction():
            await other.execute(f"select from {held} for update")
            waiting = asyncio.create_task(index.put([document(scope)]))
            begun = time.monotonic()
            await asyncio.wait([waiting], timeout=PATIENCE)
            assert time.monotonic() - begun >= PATIENCE, "it gave up"
        await waiting
        assert len(await herons(index, [scope])) == 2
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    finally:
        await other.close()
        await storage.aclose()


async def test_who_waited_for_too_long_is_sent_away_and_the_log_tells_of_no_outage(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    storage, other = open_storage(postgres_url), await asyncpg.connect(postgres_url)
    try:
        rows = Rows(storage)
        await rows.begin()
        kept = document(SearchScope(rows.project.id))
        await SqlSearchIndex(storage, asyncio.to_thread).put([kept])
        async with other.transaction():
            await other.execute("select from search_scopes for update")
            async with storage.unit_of_work() as work:
                await work.users.get(rows.user.id)
                await work.transaction.run(_SHORT)
                with pytest.raises(StorageUnavailable, match="Others are changing"):
                    await index_rows.hold_scopes(work.transaction, (), [kept.id])
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    finally:
        await other.close()
        await storage.aclose()


async def test_documents_that_change_places_never_wait_for_each_other_in_a_circle(postgres_url: str) -> None:
    """Two processes move documents between the same two projects, each the other way."""
    storages = [open_storage(postgres_url), open_storage(postgres_url)]
    try:
        rows = Rows(storages[0])
        await rows.begin()
        indexes = [SqlSearchIndex(storage, asyncio.to_thread) for storage in storages]
        scopes = [SearchScope(rows.project.id), SearchScope((await rows.add_project()).id)]
        keys = [[new_id() for _ in range(10)] for _ in indexes]
        for number, index in enumerate(indexes):
            await index.put([document(scopes[number], key) for key in keys[number]])

        async def move(number: int) -> None:
            for turn in range(1, 21):
                await indexes[number].put([document(scopes[(number + turn) % 2], key) for key in keys[number]])

        async with asyncio.timeout(60):
            await asyncio.gather(move(0), move(1))
        assert [len(await herons(indexes[0], [scope])) for scope in scopes] == [10, 10]
    finally:
        for storage in storages:
            await storage.aclose()


@pytest.mark.parametrize("passages", [1, _BATCH + 1])
async def test_a_document_that_comes_into_another_project_leaves_the_first(
    index: SqlSearchIndex, rows: Rows, passages: int
) -> None:
    scopes = [SearchScope(rows.project.id), SearchScope((await rows.add_project()).id)]
    moved = new_id()
    await index.put([document(scopes[0], moved, passages=3), document(scopes[0])])
    await index.put([document(scopes[1], moved, passages=passages)])
    assert [len(await herons(index, [scope])) for scope in scopes] == [1, passages]
    await index.remove(moved)
    assert [len(await herons(index, [scope])) for scope in scopes] == [1, 0]


async def test_a_document_that_moves_while_its_scopes_are_taken_is_told(
    storage: SqlStorage, index: SqlSearchIndex, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new scope cannot be held in the order any more: a put says so, a removal begins again."""
    moved = document(SearchScope(rows.project.id))
    await index.put([moved])
    look, seen = index_rows._scopes_with, list[int]()

    async def elsewhere(*arguments: object) -> set[int]:
        seen.append(len(seen))
        found = await look(*arguments)  # type: ignore[arg-type]  # it is handed through
        return {*found, -1} if len(seen) == 2 else found

    monkeypatch.setattr(index_rows, "_scopes_with", elsewhere)
    with pytest.raises(Conflict, match="moved"):
        await index.put([moved])
    seen.clear()
    await index.remove(moved.id)
    assert len(seen) > 2
    assert await herons(index, [moved.scope]) == []


def test_documents_without_passages_count_as_well() -> None:
    scope = SearchScope(new_id())
    found = list(_batches([document(scope, passages=0) for _ in range(2 * _BATCH)]))
    assert [len(batch) for batch in found] == [_BATCH, _BATCH]
