"""What happens when the database does not: told in under two seconds, and over when it is back."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from eudai_core.errors import InvalidInput, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import HealthStatus
from eudai_sql.engines import PoolSizes
from eudai_sql.storage import SqlStorage, open_storage
from support.frozen import frozen
from support.postgres import PostgresServer, migrate
from support.sql_rows import Rows

FAST = 2.0


@asynccontextmanager
async def opened(url: str, sizes: PoolSizes | None = None) -> AsyncIterator[SqlStorage]:
    storage = open_storage(url, sizes)
    try:
        yield storage
    finally:
        await storage.aclose()


async def count_users(storage: SqlStorage) -> int:
    async with storage.unit_of_work(readonly=True) as work:
        return 0 if await work.users.by_login("ada") is None else 1


async def fails_fast(attempt: Callable[[], Awaitable[object]]) -> None:
    start = time.monotonic()
    with pytest.raises(StorageUnavailable) as caught:
        await attempt()
    assert time.monotonic() - start < FAST
    assert caught.value.code == "storage_error"
    assert "/" not in caught.value.detail
    assert caught.value.retry_after


async def test_stopped_server_is_told_fast_and_used_again_when_it_is_back(
    private_postgres_server: PostgresServer,
) -> None:
    server = private_postgres_server
    await migrate(server.admin_url)
    async with opened(server.admin_url) as storage:
        rows = Rows(storage)
        await rows.begin()
        # Several pooled connections, so that one of the dead ones is left after the first was noticed.
        await asyncio.gather(*(count_users(storage) for _ in range(5)))
        await asyncio.to_thread(server.stop)
        await fails_fast(lambda: count_users(storage))
        await fails_fast(lambda: rows.add_user("bob"))
        assert (await storage.health()).status == HealthStatus.DOWN
        await asyncio.to_thread(server.start)
        assert await count_users(storage) == 1
        assert (await storage.health()).status == HealthStatus.OK


async def test_restart_between_two_units_of_work_is_not_noticed(private_postgres_server: PostgresServer) -> None:
    server = private_postgres_server
    await migrate(server.admin_url)
    async with opened(server.admin_url) as storage:
        rows = Rows(storage)
        await rows.begin()
        for how in (signal.SIGINT, signal.SIGQUIT):
            await asyncio.gather(*(count_users(storage) for _ in range(5)))
            await asyncio.to_thread(server.stop, how)
            await asyncio.to_thread(server.start)
            assert await asyncio.gather(*(count_users(storage) for _ in range(5))) == [1] * 5


async def test_restart_within_a_unit_of_work_fails_it_and_nothing_of_it_is_kept(
    private_postgres_server: PostgresServer,
) -> None:
    server = private_postgres_server
    await migrate(server.admin_url)
    async with opened(server.admin_url) as storage:
        rows = Rows(storage)
        async with storage.unit_of_work() as work:
            await work.users.add(rows.user, "hash")
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            with pytest.raises(StorageUnavailable):
                await work.projects.add(rows.project)
        assert await count_users(storage) == 0


async def test_commit_that_is_not_confirmed_is_told(private_postgres_server: PostgresServer) -> None:
    server = private_postgres_server
    await migrate(server.admin_url)
    async with opened(server.admin_url) as storage:
        async with storage.unit_of_work() as work:
            await work.users.add(Rows(storage).user, "hash")
            await asyncio.to_thread(server.stop)
            await fails_fast(work.commit)
        await asyncio.to_thread(server.start)
        assert await count_users(storage) == 0


async def test_fault_of_the_program_stays_what_it_is(storage: SqlStorage) -> None:
    async with storage.unit_of_work(readonly=True) as work:
        with pytest.raises(sa.exc.DBAPIError):
            await work.transaction.rows(sa.text("select nonsense from users"))


async def test_frozen_server_is_told_fast(private_postgres_server: PostgresServer) -> None:
    server = private_postgres_server
    await migrate(server.admin_url)
    async with opened(server.admin_url) as storage:
        rows = Rows(storage)
        await rows.begin()
        # Leaves idle connections in the pool, which freeze like all others.
        await asyncio.gather(*(count_users(storage) for _ in range(5)))
        async with storage.unit_of_work() as work, storage.unit_of_work() as left:
            await work.users.get(rows.user.id)
            await left.users.get(rows.user.id)
            with frozen(server.process.pid):
                await fails_fast(lambda: work.users.get(rows.user.id))
                await fails_fast(lambda: count_users(storage))
                start = time.monotonic()
                assert (await storage.health()).status == HealthStatus.DOWN
                assert time.monotonic() - start < FAST
                start = time.monotonic()
                await left.__aexit__(None, None, None)
                assert time.monotonic() - start < FAST
        assert await count_users(storage) == 1


async def test_exhausted_pool_is_told_fast(postgres_url: str) -> None:
    async with opened(postgres_url, PoolSizes(kept=1, overflow=0)) as storage:
        await Rows(storage).begin()
        async with storage.unit_of_work() as work:
            await work.users.by_login("ada")
            await fails_fast(lambda: count_users(storage))
        assert await count_users(storage) == 1


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody@127.0.0.1:1/none",
        "postgresql://nobody@/none?host=/nonexistent-directory",
        "postgresql://nobody@name.invalid/none",
    ],
)
async def test_unreachable_server_is_told_fast(url: str) -> None:
    async with opened(url) as storage:
        await fails_fast(lambda: count_users(storage))
        assert (await storage.health()).status == HealthStatus.DOWN


async def test_silent_server_is_told_fast() -> None:
    # The system accepts connections for it; nobody ever reads them.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with opened(f"postgresql://nobody@127.0.0.1:{port}/none?sslmode=disable") as storage:
            await fails_fast(lambda: count_users(storage))


async def test_missing_database_is_storage_unavailable(postgres_server: PostgresServer) -> None:
    async with opened(postgres_server.url("no_such_database")) as storage:
        await fails_fast(lambda: count_users(storage))


async def test_missing_tables_are_storage_unavailable(postgres_server: PostgresServer, tmp_path: Path) -> None:
    empty = await asyncio.to_thread(postgres_server.create_database)
    for url in (empty, f"sqlite:///{tmp_path / 'empty.db'}"):
        async with opened(url) as storage:
            await fails_fast(lambda storage=storage: count_users(storage))  # type: ignore[misc]  # a default, no parameter
            health = await storage.health()
            assert (health.status, "upgrade" in health.detail) == (HealthStatus.DOWN, True)
    await asyncio.to_thread(postgres_server.drop_database, empty)


async def test_locked_sqlite_is_told_fast(sqlite_url: str) -> None:
    async with opened(sqlite_url) as storage:
        rows = Rows(storage)
        await rows.begin()
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await fails_fast(lambda: rows.add_user("bob"))
        assert await count_users(storage) == 1
        other.execute("ROLLBACK")
        other.close()
        await rows.add_user("bob")


async def test_sqlite_that_is_no_database_is_told_fast(tmp_path: Path) -> None:
    path = tmp_path / "eudai.db"
    path.write_bytes(b"certainly not a database" * 100)
    for url in (f"sqlite:///{path}", f"sqlite:///{tmp_path}/missing/eudai.db"):
        async with opened(url) as storage:
            await fails_fast(lambda storage=storage: count_users(storage))  # type: ignore[misc]  # a default, no parameter
            assert (await storage.health()).status == HealthStatus.DOWN


async def test_full_disk_is_storage_unavailable_and_leaves_nothing_half(sqlite_url: str) -> None:
    async with opened(sqlite_url) as storage:
        rows = Rows(storage)
        await rows.begin()
        # A limit on the file's pages is what a full disk looks like to SQLite.
        async with storage._database.engine(readonly=False, snapshot=True).connect() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count=1")
        huge = replace(rows.project, id=new_id(), description="x" * 1_000_000)

        async def add_huge() -> None:
            async with storage.unit_of_work() as work:
                await work.projects.add(huge)
                await work.commit()

        await fails_fast(add_huge)
        async with storage.unit_of_work(readonly=True) as work:
            assert len((await work.projects.list(rows.user.id, cursor=None, limit=9)).items) == 1


async def test_number_too_large_is_invalid_input(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work() as work:
        with pytest.raises(InvalidInput):
            await work.events.after(rows.conversation.id, 2**80, limit=1)


async def test_cancelled_work_leaves_the_pool_sound(database_url: str) -> None:
    async with opened(database_url, PoolSizes(kept=2, overflow=0, sqlite_readers=2)) as storage:
        rows = Rows(storage)
        await rows.begin()

        async def write(number: int) -> None:
            async with storage.unit_of_work() as work:
                await work.users.by_login("ada")
                user = replace(rows.user, id=new_id(), username=f"u{number}", email=f"u{number}@example.org")
                await work.users.add(user, "hash")
                await work.projects.add(replace(rows.project, id=new_id(), owner_id=user.id))
                await work.commit()

        for number in range(80):
            tasks = [asyncio.create_task(write(number)), asyncio.create_task(count_users(storage))]
            # Cancelled after a different time each, so in the middle of every kind of waiting, also in the drivers.
            await asyncio.sleep(number / 10_000)
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            await write(1000 + number)
        assert await count_users(storage) == 1
        async with storage.unit_of_work(readonly=True) as work:
            for number in range(80):
                found = await work.users.by_login(f"u{number}")
                if found is not None:
                    # Committed before the cancellation took hold: then all of it.
                    assert (await work.projects.list(found[0].id, cursor=None, limit=2)).items


async def test_two_hundred_writers_at_once_all_succeed(database_url: str) -> None:
    async with opened(database_url) as storage:
        rows = Rows(storage)
        await rows.begin()
        await asyncio.gather(*(rows.add_conversation() for _ in range(200)))
        async with storage.unit_of_work(readonly=True) as work:
            assert (await work.projects.get(rows.project.id)).counts.conversations == 201
