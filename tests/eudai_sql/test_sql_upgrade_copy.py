"""An embedded database is copied before its tables are changed."""

from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from eudai_core.errors import ConfigError, StorageUnavailable
from eudai_sql.history import CORE, read_history
from eudai_sql.storage import open_storage
from eudai_sql.upgrade_copy import KEPT, copy_before_upgrade
from support.portable import NewUrl, Open, contents_of
from support.postgres import sqlite_file_url

REVISIONS = read_history(CORE).revisions


@pytest.fixture
async def old(tmp_path: Path) -> Path:
    """A database at an old revision with a text in it."""
    path = tmp_path / "data" / "eudai.db"
    storage = open_storage(sqlite_file_url(path))
    await storage.portable().prepare((), {"core": REVISIONS[-2]})
    await storage.aclose()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("insert into texts (sha256, bytes) values ('some hash', x'00')")
    return path


def copies(path: Path) -> list[Path]:
    return sorted((path.parent / "backups").glob("*"))


def hashes(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("select sha256 from texts")]


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("select version_num from alembic_version_core").fetchone()[0])


async def test_the_copy_is_what_was_there_before(old: Path, opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert await opened(sqlite_file_url(old)).migrate(()) == [f"core:{REVISIONS[-1]}"]
    (copy,) = copies(old)
    assert str(copy) in caplog.text
    assert (hashes(copy), revision(copy), revision(old)) == (["some hash"], REVISIONS[-2], REVISIONS[-1])
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    # It is a database that the program takes, too.
    assert await opened(sqlite_file_url(copy)).migrate(()) == [f"core:{REVISIONS[-1]}"]


async def test_nothing_is_copied_when_nothing_is_changed(old: Path, opened: Open, new_url: NewUrl) -> None:
    storage = opened(sqlite_file_url(old))
    await storage.migrate((), dry_run=True)
    assert copies(old) == []
    await storage.migrate(())
    await storage.migrate(())
    assert len(copies(old)) == 1
    fresh = new_url("sqlite")
    await opened(fresh).migrate(())
    assert not (Path(fresh.removeprefix("sqlite:///")).parent / "backups").exists()


async def test_without_a_copy_there_is_no_upgrade(old: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageUnavailable, match=r"not upgraded.*No space left on device"):
        await opened(sqlite_file_url(old)).migrate(())
    assert (hashes(old), revision(old), copies(old)) == (["some hash"], REVISIONS[-2], [])
    monkeypatch.undo()
    assert await opened(sqlite_file_url(old)).migrate(()) == [f"core:{REVISIONS[-1]}"]


async def test_a_backups_directory_that_cannot_be_made_is_told(old: Path, opened: Open) -> None:
    (old.parent / "backups").write_text("in the way")
    with pytest.raises(StorageUnavailable, match="not upgraded"):
        await opened(sqlite_file_url(old)).migrate(())
    assert revision(old) == REVISIONS[-2]


def test_the_newest_copies_stay(old: Path) -> None:
    directory = old.parent / "backups"
    directory.mkdir()
    others = [directory / "eudai-20200101-000000.zip", directory / "mine.db"]
    stale = [directory / f"eudai-2020010{day}-000000-revision-0001.db" for day in range(1, 6)]
    for path in (*others, *stale):
        path.write_text("")
    newest = copy_before_upgrade(old, "0003")
    assert set(copies(old)) == {*others, *stale[-KEPT + 1 :], newest}


def test_old_copies_that_stay_do_not_hold_up_the_upgrade(
    old: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = old.parent / "backups"
    directory.mkdir()
    for day in range(1, 6):
        # A directory cannot be unlinked, whoever tries.
        (directory / f"eudai-2020010{day}-000000-revision-0001.db").mkdir()
    copy = copy_before_upgrade(old, "0003")
    assert hashes(copy) == ["some hash"]
    assert "could not be removed" in caplog.text


def test_names_with_brackets_are_no_patterns(old: Path) -> None:
    odd = old.rename(old.with_name("[ab]*.db"))
    directory = old.parent / "backups"
    directory.mkdir()
    mine = [directory / f"[ab]*-2020010{day}-000000-revision-0001.db" for day in range(1, 6)]
    others = [directory / f"a-2020010{day}-000000-revision-0001.db" for day in range(1, 6)]
    draft, other_draft = (directory / f"{stem}-1-revision-1.db.partial" for stem in ("[ab]*", "a"))
    for path in (*mine, *others, draft, other_draft):
        path.write_text("")
    newest = copy_before_upgrade(odd, "0003")
    assert set(copies(old)) == {*others, other_draft, *mine[-KEPT + 1 :], newest}


async def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="EUDAI_DATA_DIR"):
        await opened(sqlite_file_url(tmp_path / "file" / "eudai.db")).migrate(())


async def test_killed_while_it_copies_the_next_start_completes_it(old: Path, opened: Open) -> None:
    script = (
        "import asyncio, os, signal, sys\n"
        "from eudai_sql import upgrade_copy\n"
        "from eudai_sql.storage import open_storage\n"
        "upgrade_copy.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(open_storage(sys.argv[1]).migrate(()))\n"
    )
    command = [sys.executable, "-c", script, sqlite_file_url(old)]
    assert subprocess.run(command, check=False).returncode == -9  # noqa: ASYNC221 -- nothing else runs here
    assert [path.suffix for path in copies(old)] == [".partial"]
    assert (hashes(old), revision(old)) == (["some hash"], REVISIONS[-2])
    storage = opened(sqlite_file_url(old))
    assert await storage.migrate(()) == [f"core:{REVISIONS[-1]}"]
    assert [path.suffix for path in copies(old)] == [".db"]
    assert [line for line in (await contents_of(storage))["texts"] if "some hash" in line]
