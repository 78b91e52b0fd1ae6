"""The plugin in a real application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eudai_core.app import Application
from eudai_core.errors import ConfigError, InvalidCredentials, Unauthorized
from eudai_core.model import Credentials
from eudai_core.testing import MemoryStorage
from eudai_proxy_auth import ProxyAuthPlugin
from eudai_proxy_auth.authenticator import ProxyAuthenticator

DEFAULTS = ("sql", "auth", "content", "context", "quart")
PROXY = "10.0.0.5"


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    """An eudai behind a proxy at 10.0.0.5, with the user ada."""
    settings = {
        "EUDAI_DATA_DIR": str(tmp_path),
        "EUDAI_SECRET_KEY": "a secret of the tests, longer than 32 bytes",
        "EUDAI_AUTHENTICATORS": "jwt,api_key,proxy",
        "EUDAI_PROXY_AUTH_TRUSTED": f"{PROXY},2001:db8::/32",
    }
    plugins = [*(f"eudai-{name}" for name in DEFAULTS), ("eudai-proxy-auth", ProxyAuthPlugin())]
    async with Application.open(overrides=settings, environ={}, dotenv=None, plugins=plugins) as app:
        await app.accounts.create_user(username="ada", email="ada@example.org", password="correct horse battery")
        yield app


def said(name: str, peer: str | None = PROXY) -> Credentials:
    """Return what a request with the header brings."""
    return Credentials("headers", "", {"x-remote-user": name}, peer)


@pytest.mark.parametrize("name", ["ada", "ADA", "ada@example.org"])
@pytest.mark.parametrize("peer", [PROXY, f"::ffff:{PROXY}", "2001:db8::1"])
async def test_the_proxy_says_who_it_is(application: Application, name: str, peer: str) -> None:
    identity = await application.accounts.authenticate(said(name, peer))
    assert (identity.username, identity.session_id, identity.is_admin) == ("ada", None, False)


@pytest.mark.parametrize("peer", ["10.0.0.6", "127.0.0.1", "", None, "localhost", "10.0.0.5, 10.0.0.6"])
async def test_from_anybody_else_it_is_refused(application: Application, peer: str | None) -> None:
    with pytest.raises(InvalidCredentials):
        await application.accounts.authenticate(said("ada", peer))


@pytest.mark.parametrize("name", ["nobody", "", "ada, ada", "a" * 300, "ada\0", "\ud800"])
async def test_a_name_that_nobody_has_is_refused_and_nobody_is_created(application: Application, name: str) -> None:
    with pytest.raises(InvalidCredentials):
        await application.accounts.authenticate(said(name))
    assert len((await application.operator.users()).items) == 1


async def test_a_disabled_user_is_refused_and_an_administrator_is_one(application: Application) -> None:
    ada = (await application.accounts.authenticate(said("ada"))).user_id
    await application.operator.change(ada, is_admin=True)
    assert (await application.accounts.authenticate(said("ada"))).is_admin
    await application.operator.change(ada, disabled=True)
    with pytest.raises(InvalidCredentials):
        await application.accounts.authenticate(said("ada"))


async def test_a_token_goes_first_and_without_the_header_there_is_nobody(application: Application) -> None:
    with pytest.raises(Unauthorized):
        await application.accounts.authenticate(Credentials("bearer", "nonsense", {"x-remote-user": "ada"}, PROXY))
    with pytest.raises(Unauthorized):
        await application.accounts.authenticate(Credentials("headers", "", {}, PROXY))


@pytest.mark.parametrize("trusted", [(), ("somewhere",), ("10.0.0.0/40",), ("10.0.0.5/8",)])
def test_settings_that_make_no_sense_say_so(trusted: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="EUDAI_PROXY_AUTH_TRUSTED"):
        ProxyAuthenticator(MemoryStorage(), "X-Remote-User", trusted)
