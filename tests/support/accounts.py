"""An application with accounts in it, for tests of what accounts do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eudai_core.app import Application
from eudai_core.contracts import Clock
from eudai_core.model import Credentials, Identity, TokenPair, User
from support.databases import chosen

__all__ = ["PASSWORD", "LoggedIn", "bearer", "logged_in", "opened"]

PASSWORD = "correct horse battery"
SECRET = "a secret of the tests, longer than 32 bytes"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A user with a session."""

    user: User
    tokens: TokenPair
    identity: Identity


def bearer(token: str) -> Credentials:
    """Return the credentials of a request with a token."""
    return Credentials("bearer", token)


@asynccontextmanager
async def opened(
    data_dir: Path,
    *,
    clock: Clock | None = None,
    plugins: Sequence[Any] | None = None,
    background: bool = True,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Application]:
    """Open an application on the database of the test, with cheap hashes and no model."""
    overrides = {
        "EUDAI_DATA_DIR": str(data_dir),
        "EUDAI_SECRET_KEY": SECRET,
        "EUDAI_AUTH_BCRYPT_COST": "4",
        "EUDAI_OLLAMA_HOST": "127.0.0.1:1",
        **chosen(),
        **(settings or {}),
    }
    async with Application.open(
        overrides=overrides, environ={}, dotenv=None, plugins=plugins, clock=clock, background=background
    ) as app:
        yield app


async def logged_in(app: Application, name: str = "ada", *, is_admin: bool = False, again: bool = False) -> LoggedIn:
    """Create a user, unless this is another session of one, and log in."""
    if not again:
        await app.accounts.create_user(username=name, email=f"{name}@example.org", password=PASSWORD, is_admin=is_admin)
    tokens = await app.accounts.log_in(login=name, password=PASSWORD)
    return LoggedIn(tokens.user, tokens, await app.accounts.authenticate(bearer(tokens.access_token)))
