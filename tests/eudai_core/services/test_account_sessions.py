"""Sessions: refreshing, ending, and that everybody knows at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from eudai_core.app import Application
from eudai_core.contracts import MISSED
from eudai_core.errors import Forbidden, InvalidCredentials
from eudai_core.ids import new_id
from eudai_core.model import Credentials, Identity
from eudai_core.services.account_changes import TOPIC, AccountChange, Ends
from eudai_core.services.sessions import REMEMBERED_S
from eudai_core.services.throttling import FREE
from eudai_core.testing import FrozenClock
from support.accounts import PASSWORD, LoggedIn, bearer, logged_in, opened

NEW = "another horse battery"


@pytest.fixture
async def app(tmp_path: Path, every_database: str) -> AsyncIterator[Application]:
    async with opened(tmp_path) as app:
        yield app


@pytest.fixture
async def still(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Application]:
    """An application whose time stands still."""
    async with opened(tmp_path, clock=clock) as app:
        yield app


async def good(app: Application, someone: LoggedIn) -> bool:
    try:
        await app.accounts.authenticate(bearer(someone.tokens.access_token))
    except InvalidCredentials:
        return False
    return True


async def test_a_refresh_token_is_spent_once_and_its_reuse_ends_the_session(app: Application) -> None:
    ada = await logged_in(app)
    with app.accounts.watch_session(ada.identity) as ended:
        renewed = await app.accounts.refresh(ada.tokens.refresh_token)
        assert renewed.session.id == ada.tokens.session.id
        await app.accounts.authenticate(bearer(renewed.access_token))
        with pytest.raises(InvalidCredentials):
            await app.accounts.refresh(ada.tokens.refresh_token)
        assert ended.is_set()
    for token in (ada.tokens, renewed):
        with pytest.raises(InvalidCredentials):
            await app.accounts.authenticate(bearer(token.access_token))
    with pytest.raises(InvalidCredentials):
        await app.accounts.refresh(renewed.refresh_token)


async def test_tabs_that_refresh_at_the_same_moment_share_one_new_pair(app: Application) -> None:
    ada = await logged_in(app)
    pairs = await asyncio.gather(*(app.accounts.refresh(ada.tokens.refresh_token) for _ in range(8)))
    assert len({(pair.access_token, pair.refresh_token) for pair in pairs}) == 1
    await app.accounts.refresh(pairs[0].refresh_token)


async def test_a_tab_that_leaves_takes_the_pair_from_nobody(app: Application) -> None:
    ada = await logged_in(app)
    first = asyncio.create_task(app.accounts.refresh(ada.tokens.refresh_token))
    second = asyncio.create_task(app.accounts.refresh(ada.tokens.refresh_token))
    await asyncio.sleep(0)
    first.cancel()
    pair = await second
    assert first.cancelled()
    await app.accounts.refresh(pair.refresh_token)


@pytest.mark.parametrize("token", ["", "nothing", "\ud800", "x" * 10_000])
async def test_an_unknown_refresh_token_is_refused(still: Application, token: str) -> None:
    with pytest.raises(InvalidCredentials):
        await still.accounts.refresh(token)


async def test_a_session_ends_after_its_days(still: Application, clock: FrozenClock) -> None:
    ada = await logged_in(still)
    clock.advance(29 * 86_400)
    renewed = await still.accounts.refresh(ada.tokens.refresh_token)
    clock.advance(86_400)
    with pytest.raises(InvalidCredentials):
        await still.accounts.authenticate(bearer(renewed.access_token))
    with pytest.raises(InvalidCredentials):
        await still.accounts.refresh(renewed.refresh_token)


async def test_the_web_token_lives_as_long_as_its_session(still: Application, clock: FrozenClock) -> None:
    ada = await logged_in(still)
    clock.advance(10 * 86_400)
    found = await still.accounts.web_token(ada.identity)
    assert found is not None
    token, seconds = found
    assert seconds == 20 * 86_400
    clock.advance(20 * 86_400 - 60)
    assert (await still.accounts.authenticate(Credentials("cookie", token))).session_id == ada.identity.session_id
    clock.advance(60)
    with pytest.raises(InvalidCredentials):
        await still.accounts.authenticate(Credentials("cookie", token))
    assert await still.accounts.web_token(ada.identity) is None


async def test_logging_out_ends_this_session_and_no_other(app: Application) -> None:
    first = await logged_in(app)
    second = await logged_in(app, again=True)
    with app.accounts.watch_session(first.identity) as one, app.accounts.watch_session(second.identity) as two:
        await app.accounts.log_out(first.identity)
        assert (one.is_set(), two.is_set()) == (True, False)
    assert not await good(app, first)
    assert await good(app, second)
    with pytest.raises(InvalidCredentials):
        await app.accounts.refresh(first.tokens.refresh_token)


async def test_a_new_password_ends_all_other_sessions(app: Application) -> None:
    mine = await logged_in(app)
    other = await logged_in(app, again=True)
    stranger = await logged_in(app, "bob")
    with (
        app.accounts.watch_session(mine.identity) as here,
        app.accounts.watch_session(other.identity) as there,
        app.accounts.watch_session(stranger.identity) as elsewhere,
    ):
        await app.accounts.change(mine.identity, current_password=PASSWORD, password=NEW)
        assert (here.is_set(), there.is_set(), elsewhere.is_set()) == (False, True, False)
    assert (await good(app, mine), await good(app, other), await good(app, stranger)) == (True, False, True)
    with pytest.raises(InvalidCredentials):
        await app.accounts.log_in(login="ada", password=PASSWORD)
    await app.accounts.log_in(login="ada", password=NEW)
    await app.accounts.refresh(mine.tokens.refresh_token)


async def test_a_log_in_that_was_on_its_way_does_not_survive_a_new_password(app: Application) -> None:
    mine = await logged_in(app)
    change = app.accounts.change(mine.identity, current_password=PASSWORD, password=NEW)
    log_ins = [app.accounts.log_in(login="ada", password=PASSWORD) for _ in range(FREE["account"])]
    _, pairs = await asyncio.gather(change, asyncio.gather(*log_ins, return_exceptions=True))
    for pair in pairs:
        if isinstance(pair, BaseException):
            assert isinstance(pair, InvalidCredentials)
            continue
        with pytest.raises(InvalidCredentials):
            await app.accounts.authenticate(bearer(pair.access_token))


@pytest.mark.parametrize("change", [{"disabled": True}, {"is_admin": False}])
async def test_what_a_user_may_do_is_what_storage_says_now(app: Application, change: dict[str, bool]) -> None:
    root = await logged_in(app, "root", is_admin=True)
    assert root.identity.is_admin
    with app.accounts.watch_session(root.identity) as ended:
        await app.operator.change(root.user.id, **change)
        assert ended.is_set(), "what is open was opened with other rights"
    if "disabled" in change:
        assert not await good(app, root)
        with pytest.raises(InvalidCredentials):
            await app.accounts.log_in(login="root", password=PASSWORD)
    else:
        assert not (await app.accounts.authenticate(bearer(root.tokens.access_token))).is_admin
        with pytest.raises(Forbidden):
            await app.administration.users(await app.accounts.authenticate(bearer(root.tokens.access_token)))


async def test_identities_are_remembered_for_a_few_seconds_only(tmp_path: Path, clock: FrozenClock) -> None:
    async with opened(tmp_path, clock=clock) as app, opened(tmp_path, clock=clock, background=False) as command:
        ada = await logged_in(app)
        await command.operator.change(ada.user.id, disabled=True)
        # On SQLite no bus reaches another process.
        assert await good(app, ada)
        clock.advance(REMEMBERED_S)
        assert not await good(app, ada)


async def test_what_another_process_ends_is_known_here_at_once(tmp_path: Path, postgres_url: str) -> None:
    settings = {"EUDAI_DATABASE_URL": postgres_url}
    async with AsyncExitStack() as stack:
        here, there = [
            await stack.enter_async_context(opened(tmp_path / name, settings=settings)) for name in ("a", "b")
        ]
        ada = await logged_in(here)
        assert await good(there, ada)
        with there.accounts.watch_session(ada.identity) as ended:
            await here.accounts.log_out(ada.identity)
            await asyncio.wait_for(ended.wait(), 10)
        assert not await good(there, ada)


async def test_when_messages_were_missed_everything_is_looked_up_again(still: Application) -> None:
    ada = await logged_in(still)
    eve = await logged_in(still, "eve")
    with still.accounts.watch_session(ada.identity) as ended, still.accounts.watch_session(eve.identity) as other:
        async with still.storage.unit_of_work() as unit:  # as another process does, unheard
            assert ada.identity.session_id is not None
            await unit.sessions.revoke(ada.identity.session_id, still.clock.now())
            await unit.commit()
        assert await good(still, ada)
        await still.accounts.changes._take(MISSED)
        assert (ended.is_set(), other.is_set()) == (True, False)
    assert not await good(still, ada)


@pytest.mark.parametrize(
    "message",
    [
        {"user": "x", "ends": "session", "id": None},
        {"user": None, "ends": "session", "id": None},
        {"ends": "session"},
        {"user": "01a21326-c12b-7d19-9abc-b4f65fc43405", "ends": "something new", "id": None},
    ],
)
async def test_a_message_that_nobody_understands_is_one_that_was_missed(
    still: Application, message: Mapping[str, Any]
) -> None:
    ada = await logged_in(still)
    async with still.storage.unit_of_work() as unit:
        await unit.sessions.revoke_all(ada.user.id, still.clock.now())
        await unit.commit()
    await still.accounts.changes._take(message)
    assert not await good(still, ada)


async def test_a_bus_that_fails_keeps_nobody_from_logging_out(still: Application) -> None:
    class Broken:
        carries_payload = False

        async def publish(self, topic: str, message: Mapping[str, Any]) -> None:
            raise RuntimeError(topic)

    ada = await logged_in(still)
    still.accounts.changes._bus = Broken()  # type: ignore[assignment]  # no more is used of it
    await still.accounts.log_out(ada.identity)
    assert not await good(still, ada)


def test_a_change_comes_back_from_the_bus_as_it_was() -> None:
    assert TOPIC == "sessions"
    for ends in Ends:
        for other in (None, new_id()):
            change = AccountChange(new_id(), ends, other)
            assert AccountChange.of(change.message()) == change


async def test_an_identity_without_a_session_is_good_as_long_as_its_user(still: Application) -> None:
    ada = await logged_in(still)
    live = still.accounts._live
    claimed = Identity(ada.user.id, "whoever", is_admin=True)
    assert await live.fresh(claimed) == Identity(ada.user.id, "ada")
    assert (await live.fresh(Identity(ada.user.id, "ada", scopes=frozenset({"read"})))).scopes == frozenset({"read"})
    assert (await live.fresh(claimed)).scopes is None
    with still.accounts.watch_session(claimed) as ended:
        await still.operator.change(ada.user.id, disabled=True)
        assert ended.is_set()
    with pytest.raises(InvalidCredentials):
        await live.fresh(claimed)


async def test_a_session_is_its_user_s_only(still: Application) -> None:
    ada, eve = await logged_in(still), await logged_in(still, "eve")
    with pytest.raises(InvalidCredentials):
        await still.accounts._live.fresh(Identity(eve.user.id, "eve", session_id=ada.identity.session_id))
