from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import eudai_sql
from eudai_core.cli.db import db
from support.distributions import install

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def storage(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert eudai_sql.plugin.eudai_api
    install(tmp_path / "own", "own-plugins", plugins={"sql-alone": "eudai_sql:plugin"})
    monkeypatch.syspath_prepend(tmp_path / "own")
    monkeypatch.setenv("EUDAI_PLUGINS", "sql-alone")
    monkeypatch.delenv("DATABASE_URL", raising=False)


def test_upgrade_brings_a_new_database_up_to_date_and_may_be_repeated(command: Run) -> None:
    code, out, _ = command(db, "check", "--json")
    assert code == 1
    pending = json.loads(out)["pending"]
    assert pending

    code, out, _ = command(db, "upgrade", "--dry-run", "--json")
    assert (code, json.loads(out)["revisions"]) == (0, pending)
    assert command(db, "check")[0] == 1  # a dry run changed nothing

    code, out, _ = command(db, "upgrade")
    assert code == 0
    assert out.splitlines() == [f"applied {revision}" for revision in pending]
    assert command(db, "check")[0] == 0
    assert command(db, "upgrade")[1] == "The database is up to date.\n"


def test_a_database_that_does_not_answer_ends_with_5(command: Run) -> None:
    code, out, err = command(db, "check", EUDAI_DATABASE_URL="postgresql://somebody:hidden@127.0.0.1:1/nothing")
    assert (code, out) == (5, "")
    assert err.startswith("Storage error: ")
    assert "hidden" not in err


def test_without_a_storage_it_ends_with_3(command: Run) -> None:
    code, _, err = command(db, "check", EUDAI_PLUGINS="broken-storage")
    assert code == 3
    assert "the disk is gone" in err
