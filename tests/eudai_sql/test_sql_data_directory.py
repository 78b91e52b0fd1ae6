"""The embedded database's place: private, and clear about it when it cannot be used."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import NoReturn

import pytest

from eudai_core.app import Application
from eudai_core.errors import ConfigError, StorageUnavailable
from eudai_sql.file_lock import file_lock
from eudai_sql.storage import open_storage
from eudai_sql.upgrade_copy import make_private
from support.chatting import chatting
from support.sql_rows import Rows


async def test_the_database_is_its_user_s_alone_also_in_an_open_directory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    async with chatting(data):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data.glob("eudai.db*")}
        assert modes["eudai.db"] == modes["eudai.db-wal"] == 0o600


async def test_looking_at_the_tables_drops_no_lock_of_the_open_database(sqlite_url: str) -> None:
    """Without the locks another process would be the last one when it closes, and take the log of commits away."""
    storage = open_storage(sqlite_url)
    rows = Rows(storage)
    await rows.begin()
    await storage.migrate((), dry_run=True)
    path = sqlite_url.removeprefix("sqlite:///")
    await other_process(path, "update projects set description = 'other'")
    assert await asyncio.to_thread(Path(f"{path}-wal").exists)
    await rows.add_project(name="acknowledged")
    assert await other_process(path, "select name from projects order by id") == "[('Notes',), ('acknowledged',)]"
    await storage.aclose()


async def other_process(path: str, statement: str) -> str:
    script = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1])\n"
        "print(connection.execute(sys.argv[2]).fetchall())\n"
        "connection.commit()\n"
        "connection.close()\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, path, statement, stdout=PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


def test_an_empty_file_becomes_private_and_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty, full, linked = (tmp_path / name for name in ("empty.db", "full.db", "linked.db"))
    empty.touch(mode=0o644)
    full.write_text("something")
    full.chmod(0o640)
    linked.symlink_to(tmp_path / "target.db")
    for path in (empty, full, linked):
        make_private(path)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (empty, full, tmp_path / "target.db")]
    assert modes == [0o600, 0o640, 0o600]  # what holds data has the mode that its owner gave it
    with pytest.raises(IsADirectoryError):
        make_private(tmp_path)


async def test_a_data_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    settings = {"EUDAI_DATA_DIR": str(tmp_path / "file" / "data")}
    with pytest.raises(ConfigError, match="EUDAI_DATA_DIR"):
        async with Application.open(overrides=settings, environ={}, dotenv=None):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
async def test_a_lock_that_cannot_be_taken_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    # Stands in for a file system without locks, which this machine cannot be relied on to have.
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StorageUnavailable, match=os.strerror(number)):
        async with asyncio.timeout(5), file_lock(tmp_path / "lock", seconds=60):
            pass
