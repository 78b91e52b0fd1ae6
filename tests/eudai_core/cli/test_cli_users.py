from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eudai_core.cli.users import users
from support.distributions import install

Run = Callable[..., tuple[int, str, str]]
ANN = ("create", "ann", "--email", "ann@example.org", "--password-stdin")


@pytest.fixture(autouse=True)
def server(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {f"own-{name}": f"eudai_{name}:plugin" for name in ("sql", "auth", "context", "content")}
    install(tmp_path / "own", "own-plugins", plugins=own)
    monkeypatch.syspath_prepend(tmp_path / "own")
    monkeypatch.setenv("EUDAI_PLUGINS", ",".join(own))
    monkeypatch.setenv("EUDAI_AUTH_BCRYPT_COST", "4")
    monkeypatch.delenv("DATABASE_URL", raising=False)


def type_password(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_create_a_user_before_the_first_start(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    type_password(monkeypatch, "correct horse battery\nnot this line\n")
    code, out, err = command(users, *ANN, "--admin", "--json")
    assert (code, err) == (0, "")
    user = json.loads(out)
    assert (user["username"], user["email"], user["is_admin"]) == ("ann", "ann@example.org", True)

    type_password(monkeypatch, "correct horse battery\n")
    code, out, err = command(users, *ANN)
    assert (code, out) == (1, "")
    assert err.startswith("Conflict: ")


def test_a_password_that_is_refused(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    type_password(monkeypatch, "\n")
    code, out, err = command(users, *ANN)
    assert (code, out) == (1, "")
    assert err.startswith("Bad request: ")
