"""Outages of a real PostgreSQL: what they leave behind, and what the operator is told of them."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from eudai_core.errors import StorageUnavailable
from eudai_core.model import HealthStatus
from eudai_sql.engines import PoolSizes
from eudai_sql.outage import Outage
from eudai_sql.storage import SqlStorage, open_storage
from support.eventually import eventually
from support.frozen import frozen
from support.postgres import PostgresServer, migrate
from support.postgres_server import execute, own_server, run_apart
from support.sql_rows import Rows

FAST = 2.0
SIZES = PoolSizes(kept=3, overflow=2)


@asynccontextmanager
async def opened(url: str, sizes: PoolSizes = SIZES) -> AsyncIterator[SqlStorage]:
    storage = open_storage(url, sizes)
    try:
        yield storage
    finally:
        await storage.aclose()


async def read(storage: SqlStorage, *, snapshot: bool = False) -> bool:
    """Tell whether the storage could be read; when not, see that it said so in time."""
    start = time.monotonic()
    try:
        async with storage.unit_of_work(readonly=True, snapshot=snapshot) as work:
            await work.users.by_login("ada")
    except StorageUnavailable:
        return False
    finally:
        assert time.monotonic() - start < FAST
    return True


async def sessions(url: str) -> list[str]:
    """Return the states of the connections of a storage to its database."""
    connection = await asyncpg.connect(url)
    try:
        ours = "application_name = 'eudai' and datname = current_database()"
        return [row["state"] for row in await connection.fetch(f"select state from pg_stat_activity where {ours}")]
    finally:
        await connection.close()


async def no_leak(storage: SqlStorage, url: str, sizes: PoolSizes = SIZES) -> None:
    """See that every connection is back in the pool, that the server has no others, and that all can be used."""
    pool: Any = storage._database.engine(readonly=False, snapshot=True).pool

    async def settled() -> bool:
        states = await sessions(url)
        return pool.checkedout() == 0 and len(states) <= pool.checkedin() and set(states) <= {"idle"}

    await eventually(settled)
    whole = sizes.kept + sizes.overflow
    assert await asyncio.gather(*(read(storage) for _ in range(whole))) == [True] * whole


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_restart_under_load_leaks_nothing_and_loses_no_acknowledged_write(
    private_postgres_server: PostgresServer, how: signal.Signals
) -> None:
    server = private_postgres_server
    # The test servers forget their last moments in a crash, to be fast; this one keeps its promise.
    await execute(server.admin_url, "alter database postgres set synchronous_commit = on")
    await migrate(server.admin_url)
    acknowledged: set[str] = set()
    stop = asyncio.Event()
    async with opened(server.admin_url) as storage:
        rows = Rows(storage)
        await rows.begin()

        async def write(name: str) -> None:
            for number in range(100_000):
                if stop.is_set():
                    return
                start = time.monotonic()
                try:
                    acknowledged.add(str((await rows.add_project(name=f"{name}-{number}")).id))
                except StorageUnavailable:
                    assert time.monotonic() - start < FAST
                    await asyncio.sleep(0)

        async def more_than(count: int) -> bool:
            return len(acknowledged) > count

        writers = [asyncio.create_task(write(f"w{number}")) for number in range(8)]
        for _ in range(3):
            before = len(acknowledged)
            await eventually(lambda before=before: more_than(before + 30))  # type: ignore[misc]  # a default, no parameter
            await asyncio.to_thread(server.stop, how)
            await asyncio.to_thread(server.start)
        before = len(acknowledged)
        await eventually(lambda: more_than(before + 30))
        stop.set()
        await asyncio.gather(*writers)
        await no_leak(storage, server.admin_url)
    connection = await asyncpg.connect(server.admin_url)
    stored = {str(row["id"]) for row in await connection.fetch("select id from projects")}
    await connection.close()
    assert acknowledged <= stored


@pytest.mark.parametrize("snapshot", [True, False])
async def test_frozen_under_load_leaks_nothing(private_postgres_server: PostgresServer, snapshot: bool) -> None:
    server = private_postgres_server
    await migrate(server.admin_url)
    async with opened(server.admin_url) as storage:
        await Rows(storage).begin()
        for _ in range(2):
            assert await asyncio.gather(*(read(storage, snapshot=snapshot) for _ in range(5))) == [True] * 5
            with frozen(server.process.pid):
                assert await asyncio.gather(*(read(storage, snapshot=snapshot) for _ in range(20))) == [False] * 20
            await no_leak(storage, server.admin_url)


async def test_exhausted_pool_leaks_nothing(postgres_url: str) -> None:
    sizes = PoolSizes(kept=1, overflow=1)
    async with opened(postgres_url, sizes) as storage:
        rows = Rows(storage)
        await rows.begin()
        async with storage.unit_of_work() as one, storage.unit_of_work() as two:
            await one.users.get(rows.user.id)
            await two.users.get(rows.user.id)
            assert await asyncio.gather(*(read(storage) for _ in range(20))) == [False] * 20
            health = await storage.health()
            assert (health.status, "all connections" in health.detail) == (HealthStatus.DOWN, True)
        await no_leak(storage, postgres_url, sizes)


async def test_an_outage_is_told_at_its_begin_and_at_its_end(
    private_postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = private_postgres_server
    await migrate(server.admin_url)
    async with opened(server.admin_url) as storage:
        now = [0.0]
        storage._database.outage = Outage(storage.description, lambda: now[0])
        await Rows(storage).begin()
        await asyncio.to_thread(server.stop)
        for second in range(10):
            now[0] = second
            assert await read(storage) is False
        await asyncio.to_thread(server.start)
        for second in range(10, 20):
            now[0] = second
            assert await read(storage) is True
    assert [line for line in caplog.messages if line.startswith("PostgreSQL database")] == [
        f"{storage.description} cannot be used: the database does not answer; it is tried again",
        f"{storage.description} can be used again; it was away for 9 s",
    ]


def test_an_outage_of_many_kinds_is_one(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    outage = Outage("it", lambda: now[0])
    outage.answered()
    for second in range(6):
        now[0] = second
        outage.failed("refused" if second % 2 else "silent")
        outage.answered()  # another connection still works: that is no end
    now[0] = 60.0
    outage.answered()
    outage.answered()
    outage.failed("silent")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "it cannot be used: silent; it is tried again"),
        (logging.WARNING, "it cannot be used: refused; it is tried again"),
        (logging.WARNING, "it can be used again; it was away for 5 s"),
        (logging.WARNING, "it cannot be used: silent; it is tried again"),
    ]


@pytest.fixture(scope="module")
def strict_server() -> Iterator[PostgresServer]:
    """A server that asks the user ``guarded`` for a password, and has users that will not do."""
    with contextmanager(own_server)() as server:
        rules = Path(parse_qs(urlsplit(server.admin_url).query)["host"][0]) / "pg_hba.conf"
        rules.write_text(f"local all guarded scram-sha-256\n{rules.read_text()}")
        statements = (
            "select pg_reload_conf()",
            "create role guarded login password 'right'",
            "create role idle nologin",
            "create role narrow login connection limit 0",
        )
        run_apart(execute(server.admin_url, *statements))
        run_apart(migrate(server.admin_url))
        yield server


REFUSES = "the database refuses this user: check the user name and password in EUDAI_DATABASE_URL"


@pytest.mark.parametrize(
    ("login", "database", "reason"),
    [
        ("guarded:wr0ng-pass", "postgres", REFUSES),
        ("guarded", "postgres", REFUSES),
        ("stranger", "postgres", REFUSES),
        ("idle", "postgres", REFUSES),
        ("postgres", "nowhere", "the server has no database of this name"),
        ("narrow", "postgres", "the database takes no more connections"),
        ("guarded:right", "postgres", "the user of EUDAI_DATABASE_URL lacks a right that is needed"),
    ],
)
async def test_what_only_the_operator_can_mend_is_told_to_the_operator_only(
    strict_server: PostgresServer, caplog: pytest.LogCaptureFixture, login: str, database: str, reason: str
) -> None:
    directory = parse_qs(urlsplit(strict_server.admin_url).query)["host"][0]
    url = f"postgresql://{login}@/{database}?host={quote(directory)}"
    async with opened(url) as storage:
        for _ in range(3):
            assert await read(storage) is False
        health = await storage.health()
        assert health.status is HealthStatus.DOWN
        assert health.detail.startswith(reason)
    told = [line for line in caplog.messages if "cannot be used" in line]
    assert len(told) == 1
    assert told[0].startswith(f"{storage.description} cannot be used: {reason}")
    assert "wr0ng-pass" not in caplog.text

    if reason.startswith("the user of"):
        return  # it may look at the schema, and has nothing to migrate
    code, _, errors = await check_command(url)
    assert code == 5
    assert reason in errors
    assert "wr0ng-pass" not in errors
    assert "Traceback" not in errors


async def check_command(url: str) -> tuple[int | None, str, str]:
    """Run `eudai db check` on a database."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import sys; from eudai_core.cli import main; sys.exit(main())", "db", "check"),
        env={"EUDAI_DATABASE_URL": url, "PATH": "", "HOME": "/nonexistent"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), errors.decode()


async def test_a_host_that_is_not_known_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with opened("postgresql://nobody@name.invalid/none") as storage:
        assert await read(storage) is False
        assert (await storage.health()).detail == "the host of the database is not known: check EUDAI_DATABASE_URL"
    assert re.search(r"none at name\.invalid cannot be used: the host of the database is not known", caplog.text)


async def test_a_damaged_sqlite_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "eudai.db"
    path.write_bytes(b"certainly not a database" * 100)
    async with opened(f"sqlite:///{path}") as storage:
        assert await read(storage) is False
        assert (await storage.health()).detail.startswith("the SQLite file is no database")
