from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from eudai_core.app import Application
from eudai_core.cli.users import users
from eudai_core.errors import InvalidCredentials
from eudai_core.model import User
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


@pytest.fixture
def ann(command: Run, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a user."""
    type_password(monkeypatch, "correct horse battery\n")
    code, out, _ = command(users, *ANN, "--json")
    assert code == 0
    assert set(json.loads(out)) == {"id", "username", "email", "is_admin", "created_at"}
    return str(json.loads(out)["id"])


def logs_in(password: str) -> bool:
    async def work() -> bool:
        async with Application.open() as app:
            try:
                await app.accounts.log_in(login="ann", password=password)
            except InvalidCredentials:
                return False
            return True

    return asyncio.run(work())


def test_users_are_listed(command: Run, ann: str) -> None:
    code, out, err = command(users, "list", "--json")
    assert (code, err) == (0, "")
    (user,) = json.loads(out)
    assert set(user) == {"id", "username", "email", "is_admin", "disabled", "created_at"}
    assert (user["id"], user["disabled"], user["is_admin"]) == (ann, False, False)
    code, out, _ = command(users, "list")
    assert code == 0
    assert out.splitlines()[0].split() == ["NAME", "E-MAIL", "SINCE", "REMARKS"]
    assert "ann@example.org" in out


@pytest.mark.parametrize("name", ["ann", "ANN@example.org"])
def test_a_user_is_disabled_and_enabled(command: Run, ann: str, name: str) -> None:
    code, out, err = command(users, "disable", name)
    assert (code, out, err) == (0, f"Disabled ann ({ann}).\n", "")
    assert not logs_in("correct horse battery")
    code, out, _ = command(users, "enable", name, "--json")
    assert (code, json.loads(out)["disabled"]) == (0, False)
    assert logs_in("correct horse battery")


def test_a_user_is_made_an_administrator_and_none_again(command: Run, ann: str) -> None:
    for arguments, is_admin in ((("ann",), True), (("ann", "--revoke"), False)):
        code, out, _ = command(users, "make-admin", *arguments, "--json")
        assert (code, json.loads(out)["is_admin"], json.loads(out)["id"]) == (0, is_admin, ann)


def test_a_password_is_reset(command: Run, ann: str) -> None:
    code, out, err = command(users, "reset-password", "ann")
    assert (code, err) == (0, "New password of ann, shown this once:\n")
    assert not logs_in("correct horse battery")
    assert logs_in(out.strip())
    code, out, _ = command(users, "reset-password", "ann", "--json")
    assert json.loads(out)["id"] == ann
    assert logs_in(json.loads(out)["password"])


def test_an_invitation_lets_one_person_sign_up(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = command(users, "invite", "--note", "Eve", "--days", "3", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert set(told) == {"id", "note", "expires_at", "code"}
    monkeypatch.setenv("EUDAI_SIGNUP", "invite")

    async def sign_up() -> User:
        async with Application.open() as app:
            account = {"username": "eve", "email": "eve@example.org", "password": "correct horse battery"}
            return await app.accounts.sign_up(**account, invite=told["code"])

    assert asyncio.run(sign_up()).username == "eve"
    code, out, _ = command(users, "invite")
    assert (code, len(out.splitlines())) == (0, 1)


@pytest.mark.parametrize("verb", ["disable", "enable", "make-admin", "reset-password"])
def test_a_user_who_is_not_there_is_an_error(command: Run, verb: str) -> None:
    code, out, err = command(users, verb, "nobody")
    assert (code, out, err) == (1, "", "Not found: There is no user 'nobody'.\n")
