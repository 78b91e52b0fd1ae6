"""API keys: shown once, restricted by scopes, dead at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from eudai_core.app import Application
from eudai_core.errors import Forbidden, InvalidCredentials, InvalidInput, NotFound, TooManyRequests, Unauthorized
from eudai_core.model import ApiKey, Credentials, Identity, Scope
from eudai_core.services.api_keys import MOST, belongs, parse_key
from eudai_core.testing import FrozenClock
from support.accounts import PASSWORD, LoggedIn, bearer, logged_in, opened


@pytest.fixture
async def app(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Application]:
    async with opened(tmp_path, clock=clock) as app:
        yield app


@pytest.fixture
async def ada(app: Application) -> LoggedIn:
    return await logged_in(app)


async def made(app: Application, user: LoggedIn, *scopes: str, **options: Any) -> tuple[ApiKey, str]:
    return await app.api_keys.create(user.identity, name="script", scopes=scopes or ("read",), **options)


async def as_key(app: Application, text: str) -> Identity:
    return await app.accounts.authenticate(bearer(text))


async def test_a_key_is_its_user_with_its_scopes(app: Application, ada: LoggedIn) -> None:
    key, text = await made(app, ada, "read", "chat")
    identity = await as_key(app, text)
    assert identity == Identity(ada.user.id, "ada", scopes=frozenset({"read", "chat"}), key_id=key.id)
    assert text.startswith(f"eud_{key.id.hex}_")
    assert [listed.id for listed in await app.api_keys.list(ada.identity)] == [key.id]


async def test_only_a_hash_of_it_is_kept(app: Application, ada: LoggedIn) -> None:
    key, text = await made(app, ada)
    secret = text.rpartition(f"{key.id.hex}_")[2]
    async with app.storage.unit_of_work(readonly=True) as unit:
        found = await unit.api_keys.find(key.id)
    assert found is not None
    assert belongs(secret, found[1])
    assert secret not in repr(found)


async def test_a_wrong_key_is_refused(app: Application, ada: LoggedIn) -> None:
    key, text = await made(app, ada)
    _, other = await made(app, ada)
    secret = other.rpartition("_")[2]
    wrong = [
        text[:-1] + ("A" if text[-1] != "A" else "B"),
        text + "A",
        text[:-1],
        f"eud_{key.id.hex}_",
        f"eud_{key.id.hex}",
        f"eud_{key.id.hex}_{secret}",
        f"eud_{UUID(int=0).hex}_{secret}",
        f"eud_{key.id!s}_{secret}",
        "eud_",
        "eud_" + "é" * 40,
        "eud_" + "x" * 5000,
        "eud_\0",
        text.upper(),
    ]
    for value in wrong:
        with pytest.raises(Unauthorized):
            await as_key(app, value)
    with pytest.raises(Unauthorized):
        await app.accounts.authenticate(Credentials("cookie", text))


def test_what_is_no_key_is_parsed_as_none() -> None:
    for text in ("", "eud_", "eud__", "eud_x_y", "eud_" + "0" * 32, "eud_" + "0" * 32 + "_", "Eud_" + "0" * 32 + "_x"):
        assert parse_key(text) is None
    assert parse_key("eud_" + "0" * 32 + "_a_b-c") == (UUID(int=0), "a_b-c")


async def test_it_ends_at_its_time(app: Application, ada: LoggedIn, clock: FrozenClock) -> None:
    _, text = await made(app, ada, expires_at=clock.now() + timedelta(seconds=10))
    clock.advance(9)
    await as_key(app, text)
    clock.advance(1)
    with pytest.raises(InvalidCredentials):
        await as_key(app, text)


async def test_it_ends_at_once_when_it_is_deleted(app: Application, ada: LoggedIn) -> None:
    key, text = await made(app, ada)
    _, kept = await made(app, ada)
    identity = await as_key(app, text)
    with app.accounts.watch_session(identity) as ended, app.accounts.watch_session(ada.identity) as session:
        await app.api_keys.delete(ada.identity, key.id)
        assert (ended.is_set(), session.is_set()) == (True, False)
    with pytest.raises(InvalidCredentials):
        await as_key(app, text)
    await as_key(app, kept)
    with pytest.raises(NotFound):
        await app.api_keys.delete(ada.identity, key.id)


async def test_a_disabled_user_s_keys_are_dead_at_once_and_a_new_password_leaves_them(
    app: Application, ada: LoggedIn
) -> None:
    _, text = await made(app, ada)
    await app.accounts.change(ada.identity, current_password=PASSWORD, password="another password")
    identity = await as_key(app, text)
    with app.accounts.watch_session(identity) as ended:
        await app.operator.change(ada.user.id, disabled=True)
        assert ended.is_set()
    with pytest.raises(InvalidCredentials):
        await as_key(app, text)
    await app.operator.change(ada.user.id, disabled=False)
    await as_key(app, text)


async def test_its_last_use_is_written_once_a_minute(app: Application, ada: LoggedIn, clock: FrozenClock) -> None:
    key, text = await made(app, ada)
    assert (await app.api_keys.get(ada.identity, key.id)).last_used_at is None
    first = clock.now()
    await asyncio.gather(*(as_key(app, text) for _ in range(10)))
    assert (await app.api_keys.get(ada.identity, key.id)).last_used_at == first
    clock.advance(59)
    await as_key(app, text)
    assert (await app.api_keys.get(ada.identity, key.id)).last_used_at == first
    clock.advance(1)
    await as_key(app, text)
    assert (await app.api_keys.get(ada.identity, key.id)).last_used_at == clock.now()


async def test_keys_of_others_are_not_there(app: Application, ada: LoggedIn) -> None:
    eve = await logged_in(app, "eve")
    key, text = await made(app, ada)
    for call in (app.api_keys.get, app.api_keys.delete):
        with pytest.raises(NotFound) as refused:
            await call(eve.identity, key.id)
        assert refused.value.detail == f"There is no API key {key.id}."
    assert await app.api_keys.list(eve.identity) == []
    await as_key(app, text)


async def test_a_key_changes_no_account_and_makes_no_keys(app: Application, ada: LoggedIn) -> None:
    key, text = await made(app, ada, *Scope)
    identity = await as_key(app, text)
    calls = (
        app.api_keys.create(identity, name="more", scopes=["read"]),
        app.api_keys.list(identity),
        app.api_keys.get(identity, key.id),
        app.api_keys.delete(identity, key.id),
        app.accounts.change(identity, current_password=PASSWORD, password="another password"),
        app.accounts.delete(identity, current_password=PASSWORD),
        app.accounts.log_out(identity),
    )
    for call in calls:
        with pytest.raises(Forbidden):
            await call
    assert (await app.accounts.me(identity)).id == ada.user.id


ALLOWED = {
    "read": (True, False, False),
    "chat": (True, True, False),
    "write": (True, True, True),
    "admin": (False, False, False),
}


@pytest.mark.parametrize("scope", Scope)
async def test_services_hold_keys_to_their_scopes(app: Application, ada: LoggedIn, scope: Scope) -> None:
    project = await app.projects.create(ada.identity, name="A project")
    conversation = await app.conversations.create(ada.identity, project.id)
    identity = await as_key(app, (await made(app, ada, scope))[1])
    calls = (
        (
            app.projects.list(identity),
            app.projects.get(identity, project.id),
            app.conversations.list(identity),
            app.conversations.get(identity, conversation.id),
        ),
        (app.chat.stop(identity, conversation.id),),
        (
            app.conversations.update(identity, conversation.id, title="New"),
            app.projects.update(identity, project.id, name="New"),
            app.projects.create(identity, name="More"),
            app.conversations.delete(identity, conversation.id),
            app.projects.delete(identity, project.id),
        ),
    )
    for allowed, group in zip(ALLOWED[scope], calls, strict=True):
        for call in group:
            if allowed:
                await call
            else:
                with pytest.raises(Forbidden, match="scope"):
                    await call


async def test_what_a_key_needs_is_checked(app: Application, ada: LoggedIn, clock: FrozenClock) -> None:
    for name, scopes, path in (
        ("", ["read"], "$.name"),
        ("x" * 101, ["read"], "$.name"),
        ("script", [], "$.scopes"),
        ("script", ["read", "everything"], "$.scopes"),
    ):
        with pytest.raises(InvalidInput) as refused:
            await app.api_keys.create(ada.identity, name=name, scopes=scopes)
        assert [error.path for error in refused.value.errors] == [path]
    with pytest.raises(InvalidInput):
        await made(app, ada, expires_at=clock.now())


async def test_nobody_has_more_than_a_hundred(app: Application, ada: LoggedIn) -> None:
    for _ in range(MOST):
        await made(app, ada)
    with pytest.raises(TooManyRequests):
        await made(app, ada)
