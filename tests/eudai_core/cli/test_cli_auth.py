from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from eudai_core.app import Application
from eudai_core.cli.auth import auth
from eudai_core.errors import InvalidCredentials
from eudai_core.model import Credentials
from support.distributions import install

Run = Callable[..., tuple[int, str, str]]
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def server(house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {f"own-{name}": f"eudai_{name}:plugin" for name in ("sql", "auth", "context", "content")}
    install(tmp_path / "own", "own-plugins", plugins=own)
    monkeypatch.syspath_prepend(tmp_path / "own")
    monkeypatch.setenv("EUDAI_PLUGINS", ",".join(own))
    monkeypatch.setenv("EUDAI_AUTH_BCRYPT_COST", "4")
    monkeypatch.delenv("DATABASE_URL", raising=False)


def log_in(name: str = "ada") -> str:
    """Start a server for a moment and return an access token of it."""

    async def work() -> str:
        async with Application.open() as app:
            if not (await app.operator.users()).items:
                await app.accounts.create_user(username=name, email="ada@example.org", password=PASSWORD)
            return (await app.accounts.log_in(login=name, password=PASSWORD)).access_token

    return asyncio.run(work())


def accepted(token: str) -> bool:
    async def work() -> bool:
        async with Application.open() as app:
            try:
                await app.accounts.authenticate(Credentials("bearer", token))
            except InvalidCredentials:
                return False
            return True

    return asyncio.run(work())


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_a_rotated_key_signs_and_the_old_one_is_accepted_for_a_while(command: Run) -> None:
    old = log_in()
    code, out, err = command(auth, "rotate-key", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert set(told) == {"kid", "created_at", "retire_after_s"}
    assert told["retire_after_s"] == 86_400
    new = log_in()
    assert kid(new) == told["kid"] != kid(old)
    assert accepted(old)
    assert accepted(new)


def test_the_old_key_can_end_at_once(command: Run) -> None:
    old = log_in()
    code, out, err = command(auth, "rotate-key", "--retire-after", "0s")
    assert (code, err) == (0, "")
    assert out.startswith("Tokens are signed with the new key ")
    assert not accepted(old)
    assert accepted(log_in())


def test_before_the_first_start_it_makes_the_first_key(command: Run) -> None:
    code, out, _ = command(auth, "rotate-key", "--json")
    assert code == 0
    assert kid(log_in()) == json.loads(out)["kid"]


@pytest.mark.parametrize("duration", ["", "24", "h", "1.5h", "-1h", "24 h", "1w", "10000000s"])
def test_what_is_no_duration_is_a_usage_error(command: Run, duration: str) -> None:
    code, out, err = command(auth, "rotate-key", f"--retire-after={duration}")
    assert (code, out) == (2, "")
    assert "no duration" in err


def test_another_data_directory_has_keys_of_its_own(command: Run, tmp_path: Path) -> None:
    old = log_in()
    code, _, _ = command(auth, "rotate-key", "--retire-after", "0s", "--data-dir", str(tmp_path / "other"))
    assert code == 0
    assert accepted(old)
