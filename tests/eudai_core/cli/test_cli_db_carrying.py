"""`eudai db backup`, `restore` and `move`, as their users run them."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from eudai_core.cli.db import db
from eudai_core.cli.users import users
from eudai_core.schema import single_server
from support.distributions import install
from support.postgres import PostgresServer

Run = Callable[..., tuple[int, str, str]]
PASSWORD = "correct horse battery\n"


@pytest.fixture(autouse=True)
def server(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {f"own-{name}": f"eudai_{name}:plugin" for name in ("sql", "auth", "context", "content")}
    install(tmp_path / "own", "own-plugins", plugins=own)
    monkeypatch.syspath_prepend(tmp_path / "own")
    monkeypatch.setenv("EUDAI_PLUGINS", ",".join(own))
    monkeypatch.setenv("EUDAI_AUTH_BCRYPT_COST", "4")
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture
def ann(command: Run, monkeypatch: pytest.MonkeyPatch, house: Path) -> Path:
    """A data directory with one user in it."""
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
    code, _, err = command(users, "create", "ann", "--email", "ann@example.org", "--password-stdin")
    assert (code, err) == (0, "")
    return house


def names(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / "eudai.db")) as connection:
        return [row[0] for row in connection.execute("select username from users")]


def test_check_makes_no_file(command: Run, house: Path, tmp_path: Path) -> None:
    code, out, err = command(db, "check")
    assert (code, err) == (1, "")
    assert re.search(r"^SQLite at .*: down", out)
    assert not house.exists()
    code, out, _ = command(db, "upgrade", "--dry-run", "--json", "--data-dir", str(tmp_path / "other"))
    assert code == 0
    assert json.loads(out)["revisions"][0] == "core:0001"
    assert not (tmp_path / "other").exists()


def test_options_say_where_the_data_is(command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another direct URL must not lead the command elsewhere.
    monkeypatch.setenv("EUDAI_DATABASE_DIRECT_URL", "postgresql://somebody@127.0.0.1:1/nothing")
    url = f"sqlite:///{tmp_path}/here.db"
    assert command(db, "upgrade", "--database-url", url)[0] == 0
    assert command(db, "check", "--database-url", url)[0] == 0
    assert (tmp_path / "here.db").exists()


def test_a_backup_and_its_restoring_elsewhere(command: Run, ann: Path, tmp_path: Path) -> None:
    code, out, err = command(db, "backup")
    assert code == 0
    path = Path(out.strip())
    assert path.parent == ann / "backups"
    assert re.fullmatch(r"eudai-\d{8}-\d{6}\.zip", path.name)
    assert "secret key" in err
    assert "\r" not in err  # no progress bars without a terminal

    new = tmp_path / "new"
    code, out, _ = command(db, "restore", str(path), "--dry-run", "--data-dir", str(new))
    assert (code, out[:14], new.exists()) == (0, "Would restore ", False)
    code, out, _ = command(db, "restore", str(path), "--data-dir", str(new))
    assert (code, out[:9]) == (0, "Restored ")
    assert names(new) == ["ann"]

    code, out, err = command(db, "restore", str(path), "--data-dir", str(new))
    assert (code, out) == (1, "")
    assert "is not empty (rows: users 1)" in err


def test_json_of_a_backup_and_a_restore(command: Run, ann: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    code, out, err = command(db, "backup", str(path), "--no-files", "--json")
    told: dict[str, Any] = json.loads(out)
    assert (code, err) == (0, "")
    assert told["file"] == str(path)
    assert told["size"] == path.stat().st_size
    assert told["tables"]["users"]["rows"] == 1
    assert (told["files"], told["file_bytes"], told["flawed"]) == (None, 0, {})

    code, out, err = command(db, "restore", str(path), "--json", "--data-dir", str(tmp_path / "new"))
    restored: dict[str, Any] = json.loads(out)
    assert (code, err) == (0, "")
    assert restored["tables"]["users"]["rows"] == 1
    assert restored["tables"].keys() == told["tables"].keys()
    assert (restored["dry_run"], restored["left_out"], restored["applied"]) == (False, [], [])

    code, _, err = command(db, "backup", str(path))
    assert (code, "another name" in err) == (1, True)


def test_a_damaged_backup_ends_with_1_and_makes_nothing(command: Run, ann: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    command(db, "backup", str(path))
    path.write_bytes(path.read_bytes()[:-100])
    code, out, err = command(db, "restore", str(path), "--data-dir", str(tmp_path / "new"))
    assert (code, out) == (1, "")
    assert err.startswith("Bad file: This is no whole backup")
    assert not (tmp_path / "new" / "eudai.db").exists()
    assert command(db, "restore", str(tmp_path / "missing.zip"))[0] == 2


def test_files_that_are_missing_are_told_with_1(command: Run, ann: Path) -> None:
    key = "blob/missing"
    with closing(sqlite3.connect(ann / "eudai.db")) as connection, connection:
        (user,) = connection.execute("select id from users").fetchone()
        connection.execute(
            "insert into projects (id, owner_id, name, description, settings, created_at, updated_at, version) "
            "values ('2', ?, '', '', '{}', '2026-11-25 12:00:00.000000', '2026-11-25 12:00:00.000000', 1)",
            (user,),
        )
        connection.execute(
            "insert into document_versions (id, owner_type, owner_id, project_id, number, sha256, blob_key, "
            "media_type, size, created_at, status, characters, tokens) values ('3', 'file', '4', '2', 1, 'x', ?, "
            "'text/plain', 5, '2026-11-25 12:00:00.000000', 'ready', 0, 0)",
            (key,),
        )
    code, out, err = command(db, "backup", "--json")
    assert (code, json.loads(out)["flawed"]) == (1, {key: "missing"})
    assert f"missing before the backup: file {key}" in err


def test_a_server_on_the_data_directory_is_in_the_way_of_restore_and_move(
    command: Run, ann: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.zip"
    with single_server(ann):
        assert command(db, "backup", str(path))[0] == 0
        for arguments in (("restore", str(path)), ("move", "--to", f"sqlite:///{tmp_path}/new.db")):
            for more in ((), ("--dry-run",)):
                code, _, err = command(db, *arguments, *more)
                assert (code, "Another eudai server" in err) == (3, True)
    assert not (tmp_path / "new.db").exists()


def test_moving_there_and_back(command: Run, ann: Path, tmp_path: Path, postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    code, out, _ = command(db, "move", "--to", url, "--dry-run")
    assert (code, out[:11]) == (0, "Would move ")
    code, out, err = command(db, "move", "--to", url)
    assert (code, out[:6]) == (0, "Moved ")
    assert "EUDAI_DATABASE_URL" in err
    assert url not in out + err
    back = tmp_path / "back" / "eudai.db"
    code, out, err = command(db, "move", "--to", f"sqlite:///{back}", "--json", EUDAI_DATABASE_URL=url)
    told = json.loads(out)
    assert (code, err, told["rows"]["users"], told["tables"]["users"]["rows"]) == (0, "", 1, 1)
    assert names(back.parent) == ["ann"]
    postgres_server.drop_database(url)


def test_the_new_url_may_come_from_the_input(
    command: Run, ann: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"sqlite:///{tmp_path}/new/eudai.db\n"))
    assert command(db, "move", "--to", "-")[0] == 0
    assert names(tmp_path / "new") == ["ann"]


def test_a_url_that_is_none_ends_with_3_and_is_not_repeated(command: Run, ann: Path) -> None:
    code, _, err = command(db, "move", "--to", "mysql://me:secret@host/db")
    assert (code, "secret" in err) == (3, False)


def test_a_password_without_a_terminal(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
    code, out, err = command(users, "create", "ann", "--email", "ann@example.org")
    assert (code, out) == (2, "")
    assert "--password-stdin" in err


def test_bars_are_drawn_on_a_terminal(command: Run, ann: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eudai_core.cli.db.shared._on_terminal", lambda: True)
    code, out, err = command(db, "backup", str(tmp_path / "a.zip"))
    assert (code, out) == (0, f"{tmp_path}/a.zip\n")
    assert "Rows" in err
