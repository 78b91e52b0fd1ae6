"""Generated keys after a move or a restore: one that was given is not given again."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from eudai_core.backup.making import make_backup
from eudai_core.backup.moving import move_database
from eudai_core.backup.restoring import restore_backup
from eudai_core.clock import SystemClock
from eudai_core.ids import new_id
from eudai_core.model import Passage, SearchDocument, SearchScope
from eudai_sql.search_index import SqlSearchIndex
from eudai_sql.storage import SqlStorage
from eudai_sql.url import parse_url
from support.portable import BOTH, NewUrl, Open
from support.sql_rows import Rows


def index_of(storage: SqlStorage) -> SqlSearchIndex:
    return SqlSearchIndex(storage, asyncio.to_thread)


def document(scope: SearchScope, word: str, count: int) -> SearchDocument:
    return SearchDocument(scope, new_id(), 1, "", [Passage(number, 0, 5, word) for number in range(count)])


async def fill_and_remove(storage: SqlStorage) -> SearchScope:
    """Index passages, of which the ones with the highest keys are gone, and still named by a segment."""
    rows = Rows(storage)
    await rows.begin()
    scope = SearchScope(rows.project.id)
    gone = document(scope, "gone", 10)
    await index_of(storage).put([document(scope, "stays", 400), gone])
    await index_of(storage).remove(gone.id)
    return scope


async def carry(how: str, source: SqlStorage, target: SqlStorage, directory: Path) -> None:
    if how == "move":
        await move_database(source, target, ())
        return
    report = await make_backup(source, None, directory / "a.zip", SystemClock())
    await restore_backup(report.path, target, None, ())


@pytest.mark.parametrize("before", BOTH)
@pytest.mark.parametrize("after", BOTH)
@pytest.mark.parametrize("how", ["move", "restore"])
async def test_new_passages_get_keys_that_nobody_had(
    how: str, before: str, after: str, new_url: NewUrl, opened: Open, tmp_path: Path
) -> None:
    url = new_url(before)
    filled = opened(url)
    await filled.migrate(())
    scope = await fill_and_remove(filled)
    await filled.aclose()  # whoever is connected counts as a server
    target = opened(new_url(after))
    await carry(how, opened(url), target, tmp_path)
    new = document(scope, "new", 5)
    await index_of(target).put([new])
    found = await index_of(target).search({"new": 1.0}, scopes=[scope], limit=20)
    assert [hit.passage.number for hit in found] == [0, 1, 2, 3, 4]
    assert await index_of(target).search({"gone": 1.0}, scopes=[scope], limit=20) == []
    await index_of(target).remove(new.id)
    assert await index_of(target).search({"new": 1.0}, scopes=[scope], limit=20) == []


@pytest.mark.parametrize("before", BOTH)
@pytest.mark.parametrize("after", BOTH)
async def test_also_when_no_row_is_left(before: str, after: str, new_url: NewUrl, opened: Open) -> None:
    source, target, back = opened(new_url(before)), opened(new_url(after)), opened(new_url(before))
    await source.migrate(())
    rows = Rows(source)
    await rows.begin()
    gone = document(SearchScope(rows.project.id), "gone", 7)
    await index_of(source).put([gone])
    await index_of(source).remove(gone.id)
    for here, there in ((source, target), (target, back)):
        async with here.portable().snapshot() as snapshot:
            await there.portable().prepare((), snapshot.revisions)
            async with there.portable().loading() as loading:
                await loading.settle(await snapshot.last_keys())
                await loading.commit()
        async with there.portable().snapshot() as arrived:
            assert (await arrived.last_keys())["passages"] == 7


async def test_a_counter_is_never_set_back(new_url: NewUrl, opened: Open) -> None:
    """A backup that somebody shortened, or of an earlier version, tells less than there is."""
    url = new_url("sqlite")
    storage = opened(url)
    await storage.migrate(())
    async with storage.portable().loading() as loading:
        for _ in range(2):
            await loading.settle({"passages": 5, "users": 9, "strange": 3})
            await loading.settle({"passages": 2})
        await loading.commit()
    with closing(sqlite3.connect(parse_url(url).path)) as connection:
        assert connection.execute("select name, seq from sqlite_sequence").fetchall() == [("passages", 5)]
