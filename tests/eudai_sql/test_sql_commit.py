"""A COMMIT that fails on SQLite: told to its caller, and to nobody else."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from eudai_core.errors import StorageUnavailable
from eudai_sql.sqlite_driver import SqliteConnection
from eudai_sql.storage import open_storage
from support.sql_rows import Rows


@contextmanager
def full_disk(path: str, left: int) -> Iterator[None]:
    """Let no file of this process grow beyond the size of this one and ``left`` bytes."""
    size = os.path.getsize(path) + left
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def names_in(path: str) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("select name from projects order by name")]
    finally:
        connection.close()


async def test_a_full_disk_leaves_no_transaction_to_the_next_one(sqlite_url: str) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    storage = open_storage(sqlite_url)
    try:
        rows = Rows(storage)
        await rows.begin()
        with full_disk(f"{path}-wal", 6000):
            for _ in range(3):
                with pytest.raises(StorageUnavailable):
                    await rows.add_project(name="too much" * 40_000)
        await rows.add_project(name="After")
    finally:
        await storage.aclose()
    assert names_in(path) == ["After", "Notes"]


@pytest.mark.parametrize("undoing_fails", [False, True])
async def test_a_commit_that_fails_is_undone(
    sqlite_url: str, undoing_fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: SqliteConnection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    storage = open_storage(sqlite_url)
    try:
        rows = Rows(storage)
        await rows.begin()
        with monkeypatch.context() as patch:
            patch.setattr(SqliteConnection, "commit", broken)
            if undoing_fails:
                patch.setattr(SqliteConnection, "rollback", broken)
            with pytest.raises(StorageUnavailable):
                await rows.add_project(name="Lost")
        await rows.add_project(name="After")
    finally:
        await storage.aclose()
    assert names_in(sqlite_url.removeprefix("sqlite:///")) == ["After", "Notes"]
