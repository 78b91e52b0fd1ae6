"""Reads with and without a transaction: what they see, and which statements they cost."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from eudai_sql.engines import PoolSizes
from eudai_sql.storage import SqlStorage, open_storage
from support.sql_rows import Rows


async def projects(work: Any, rows: Rows) -> int:
    """Return how many projects a unit of work sees."""
    return len((await work.projects.list(rows.user.id, cursor=None, limit=50)).items)


async def test_a_snapshot_sees_one_state_and_a_read_without_one_the_newest(storage: SqlStorage, rows: Rows) -> None:
    for snapshot, seen in ((True, (1, 1)), (False, (2, 3))):
        async with storage.unit_of_work(readonly=True, snapshot=snapshot) as work:
            before = await projects(work, rows)
            await rows.add_project()
            assert (before, await projects(work, rows)) == seen


async def read(storage: SqlStorage, *, snapshot: bool) -> None:
    async with storage.unit_of_work(readonly=True, snapshot=snapshot) as work:
        await work.users.by_login("ada")


async def test_a_read_without_a_snapshot_is_one_statement_on_sqlite(sqlite_url: str) -> None:
    storage = open_storage(sqlite_url, PoolSizes(sqlite_readers=1))
    seen: list[str] = []
    try:
        async with storage._database.engine(readonly=True, snapshot=False).connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.set_trace_callback(lambda statement: seen.append(statement.split()[0]))
        for snapshot, wanted in ((False, ["SELECT"]), (True, ["BEGIN", "SELECT", "ROLLBACK"]), (False, ["SELECT"])):
            seen.clear()
            await read(storage, snapshot=snapshot)
            assert seen == wanted
    finally:
        await storage.aclose()


async def test_a_read_without_a_snapshot_ends_with_its_statement_on_postgresql(postgres_url: str) -> None:
    storage = open_storage(postgres_url, PoolSizes(kept=1, overflow=0))
    watcher = await asyncpg.connect(postgres_url)
    query = "select query from pg_stat_activity where application_name = 'eudai' and datname = current_database()"
    try:
        for snapshot, last in ((False, "SELECT"), (True, "ROLLBACK;"), (False, "SELECT")):
            await read(storage, snapshot=snapshot)
            assert (await watcher.fetchval(query)).split()[0] == last
    finally:
        await watcher.close()
        await storage.aclose()


async def test_a_read_without_a_snapshot_leaves_no_transaction_when_cancelled(database_url: str) -> None:
    storage = open_storage(database_url, PoolSizes(kept=2, overflow=0, sqlite_readers=2))
    try:
        rows = Rows(storage)
        await rows.begin()

        async def look() -> None:
            async with storage.unit_of_work(readonly=True, snapshot=False) as work:
                await work.users.by_login("ada")
                await work.projects.list(rows.user.id, cursor=None, limit=2)

        for number in range(60):
            tasks = [asyncio.create_task(look()) for _ in range(3)]
            # Cancelled after a different time each, so in the middle of every kind of waiting, also in the drivers.
            await asyncio.sleep(number / 20_000)
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        await asyncio.gather(*(look() for _ in range(10)))
        await rows.add_project()
        async with storage.unit_of_work(readonly=True) as work:
            assert await projects(work, rows) == 2
    finally:
        await storage.aclose()


@pytest.mark.parametrize("snapshot", [True, False])
async def test_a_reader_cannot_write(
    storage: SqlStorage, rows: Rows, caplog: pytest.LogCaptureFixture, snapshot: bool
) -> None:
    async with storage.unit_of_work(readonly=True, snapshot=snapshot) as work:
        with pytest.raises(RuntimeError, match="cannot write"):
            await work.projects.delete(rows.project.id)
    async with storage.unit_of_work(readonly=True) as work:
        assert await projects(work, rows) == 1
    assert caplog.messages == []  # a fault of the caller is no outage
