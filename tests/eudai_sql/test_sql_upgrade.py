"""Upgrading a database that an early version filled: every byte stays, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from eudai_sql.alembic_run import check
from eudai_sql.history import CORE, read_history
from eudai_sql.storage import open_storage
from eudai_sql.tables import metadata
from support.old_database import OLD, Columns, columns_of, fill, fingerprints, inside, move_down, move_up
from support.old_rows import OldRows, make_rows
from support.postgres import PostgresServer, sqlite_file_url
from support.postgres_server import run_apart

HISTORY = read_history(CORE)
MESSAGES = 10_000
SEED = 20250131
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Old:
    """A database at the old revision, what it holds, and how to copy it."""

    rows: OldRows
    columns: Columns
    prints: dict[str, str]
    copy: Callable[[], str]


async def make_old(url: str, rows: OldRows) -> tuple[Columns, dict[str, str]]:
    await move_up(url, OLD)
    await fill(url, rows.tables)
    columns = await columns_of(url)
    return columns, await fingerprints(url, columns)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Old]:
    """A database of the old revision with 10,000 messages."""
    rows = make_rows(MESSAGES, SEED)
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("old") / "old.db"
        found = run_apart(make_old(sqlite_file_url(path), rows))

        def copy() -> str:
            target = tmp_path_factory.mktemp("upgrade") / "eudai.db"
            shutil.copy(path, target)
            return sqlite_file_url(target)

        yield Old(rows, *found, copy)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    template = server.create_database()
    found = run_apart(make_old(template, rows))
    copies: list[str] = []

    def copy_database() -> str:
        copies.append(server.create_database(urlsplit(template).path.lstrip("/")))
        return copies[-1]

    yield Old(rows, *found, copy_database)
    for url in (*copies, template):
        server.drop_database(url)


async def upgrade(url: str) -> None:
    storage = open_storage(url)
    begun = time.perf_counter()
    try:
        done = await storage.migrate(())
    finally:
        await storage.aclose()
    _log.info("%s on %s: %.2f s", done, url.partition(":")[0], time.perf_counter() - begun)


async def revision(url: str) -> str:
    return await inside(
        url, lambda connection: str(connection.exec_driver_sql("select version_num from alembic_version_core").scalar())
    )


async def assert_new_columns_are_right(url: str) -> None:
    wrong = (
        "select count(*) from conversations join projects on projects.id = conversations.project_id"
        " where conversations.owner_id <> projects.owner_id or trimmed_seq <> 0",
        "select count(*) from messages where indexed",
        "select count(*) from runs where trimmed",
        "select (select count(distinct payload) from jobs where kind = 'ingest')"
        " - (select count(*) from document_versions where status = 'ready')",
        "select count(*) from instructions left join instruction_versions on instruction_id = instructions.id"
        " and number = version and instruction_versions.instruction_text = instructions.instruction_text"
        " and instruction_versions.created_at = instructions.created_at where number is null",
        "select (select count(*) from instruction_versions) - (select count(*) from instructions)",
    )
    counts = await inside(url, lambda connection: [connection.exec_driver_sql(query).scalar() for query in wrong])
    assert counts == [0] * len(wrong)


async def assert_upgraded(old: Old, url: str) -> None:
    assert await revision(url) == HISTORY.head
    assert await fingerprints(url, old.columns) == old.prints
    await assert_new_columns_are_right(url)
    await inside(url, lambda connection: check(connection, HISTORY, metadata))


async def test_every_byte_stays_and_new_columns_are_right(old: Old) -> None:
    url = old.copy()
    assert set(old.prints) == {table.name for table in metadata.sorted_tables} & set(old.prints) == set(old.rows.tables)
    assert {name: int(found.partition(":")[0]) for name, found in old.prints.items()} == {
        name: len(rows) for name, rows in old.rows.tables.items()
    }
    await upgrade(url)
    await assert_upgraded(old, url)


async def test_the_program_reads_what_was_written(old: Old) -> None:
    url = old.copy()
    await upgrade(url)
    storage = open_storage(url)
    try:
        async with storage.unit_of_work(readonly=True) as unit:
            for leaf, path in old.rows.paths:
                messages = await unit.messages.path(leaf, limit=MESSAGES)
                assert [(message.text, message.thinking) for message in messages] == path
    finally:
        await storage.aclose()


async def test_going_down_one_revision_and_up_again_keeps_everything(old: Old) -> None:
    url = old.copy()
    await upgrade(url)
    for index in range(len(HISTORY.revisions) - 1, HISTORY.revisions.index(OLD), -1):
        below = HISTORY.revisions[index - 1]
        await move_down(url, below)
        assert await revision(url) == below
        assert await fingerprints(url, old.columns) == old.prints
    assert {table: names for table, names in (await columns_of(url)).items() if table in old.columns} == old.columns
    await upgrade(url)
    await assert_upgraded(old, url)


CHILD = """
import asyncio, sys
import sqlalchemy as sa
from eudai_sql.storage import open_storage

held = int(sys.argv[2])
count = 0

def tell(what):
    global count
    print(what.split("\\n")[0][:60].strip() or "-", flush=True)
    if count == held:
        sys.stdin.readline()
    count += 1

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def statement(connection, cursor, statement, parameters, context, many):
    tell(statement)

@sa.event.listens_for(sa.Engine, "commit")
def commit(connection):
    tell("COMMIT")

async def main():
    storage = open_storage(sys.argv[1])
    await storage.migrate(())
    await storage.aclose()

asyncio.run(main())
"""


async def killed_at(url: str, line: int, *, exactly: bool) -> list[str]:
    """Upgrade in a child that is killed before its statement number ``line`` (0: the first), or about then.

    Returns what it had begun by then. A line that never comes: the child ends by itself.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, url, str(line if exactly else -1)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    told: list[str] = []
    while len(told) <= line and (read := await asyncio.wait_for(process.stdout.readline(), 60)):
        told.append(read.decode().strip())
    if process.returncode is None and len(told) > line:
        process.send_signal(signal.SIGKILL)
    await process.communicate()
    return told


async def test_killed_in_the_middle_the_next_start_completes_it(old: Old) -> None:
    statements = await killed_at(old.copy(), sys.maxsize, exactly=False)
    revised = [number for number, statement in enumerate(statements) if "alembic_version_core SET" in statement]
    assert len(revised) == len(HISTORY.pending(OLD))
    commit = statements.index("COMMIT", revised[-1])
    source = random.Random(SEED)
    first = revised[0] - 5
    points = [
        *((source.randrange(first, commit), source.random() < 0.5) for _ in range(3)),
        *((number + 1, True) for number in revised),  # between two revisions, and just before the commit
        (commit, False),
    ]
    url = old.copy()
    for line, exactly in points:
        told = await killed_at(url, line, exactly=exactly)
        assert len(told) == line + 1, "the child ended before it was killed"
        found = await revision(url)
        _log.info("killed at %d (%s), exactly: %s, then at %s", line, told[-1], exactly, found)
        assert found in ({OLD} if exactly else {OLD, HISTORY.head})
        assert await fingerprints(url, old.columns) == old.prints
        if found == HISTORY.head:
            url = old.copy()
    await upgrade(url)
    await assert_upgraded(old, url)
