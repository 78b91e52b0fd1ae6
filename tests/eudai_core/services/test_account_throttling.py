"""Guessing passwords takes longer and longer, for names that exist and for names that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eudai_core.app import Application
from eudai_core.errors import Forbidden, InvalidCredentials, TooManyRequests
from eudai_core.services.throttling import FREE, LONGEST_S, account_key, client_key
from eudai_core.testing import FrozenClock
from support.accounts import PASSWORD, logged_in, opened


@pytest.fixture
async def app(tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Application]:
    async with opened(tmp_path, clock=clock) as app:
        await app.accounts.create_user(username="ada", email="ada@example.org", password=PASSWORD)
        yield app


async def fail(app: Application, login: str = "ada", *, client: str | None = None) -> None:
    with pytest.raises(InvalidCredentials):
        await app.accounts.log_in(login=login, password="wrong horse", client=client)


async def wait_of(app: Application, login: str = "ada", *, client: str | None = None) -> float:
    with pytest.raises(TooManyRequests) as refused:
        await app.accounts.log_in(login=login, password="wrong horse", client=client)
    assert refused.value.retry_after is not None
    return refused.value.retry_after


@pytest.mark.parametrize("login", ["ada", "ada@example.org", "nobody", "x" * 1000, "with \0 inside", "\ud800"])
async def test_the_wait_doubles_up_to_a_quarter_of_an_hour(app: Application, clock: FrozenClock, login: str) -> None:
    for _ in range(FREE["account"]):
        await fail(app, login)
    waits = []
    for _ in range(13):
        waits.append(await wait_of(app, login))
        clock.advance(waits[-1])
        await fail(app, login)
    assert waits == [min(2.0**power, LONGEST_S) for power in range(13)]
    assert await wait_of(app, login) == LONGEST_S


async def test_a_refused_try_is_no_failure_and_the_wait_shrinks(app: Application, clock: FrozenClock) -> None:
    for _ in range(FREE["account"] + 3):
        clock.advance(100)
        await fail(app)
    assert await wait_of(app) == 8
    clock.advance(5)
    for _ in range(5):
        assert await wait_of(app) == 3
    clock.advance(3)
    await app.accounts.log_in(login="ada", password=PASSWORD)


async def test_a_good_password_waits_too_and_then_clears_the_account(app: Application, clock: FrozenClock) -> None:
    for _ in range(FREE["account"]):
        await fail(app)
    with pytest.raises(TooManyRequests):
        await app.accounts.log_in(login="ADA", password=PASSWORD)
    clock.advance(1)
    await app.accounts.log_in(login="ADA", password=PASSWORD)
    for _ in range(FREE["account"]):
        await fail(app)
    assert await wait_of(app) == 1


async def test_an_hour_without_failures_begins_anew(app: Application, clock: FrozenClock) -> None:
    for _ in range(FREE["account"]):
        await fail(app)
    clock.advance(3601)
    for _ in range(FREE["account"]):
        await fail(app)
    assert await wait_of(app) == 1


async def test_a_clock_that_is_set_back_locks_nobody_out_for_longer(app: Application, clock: FrozenClock) -> None:
    for _ in range(FREE["account"]):
        await fail(app)
    clock._now = clock._now.replace(year=2020)
    assert await wait_of(app) == 1


async def test_one_address_pays_for_all_names_that_it_tries(app: Application, clock: FrozenClock) -> None:
    for number in range(FREE["client"]):
        await fail(app, f"name{number}", client="192.0.2.7")
    assert await wait_of(app, "ada", client="192.0.2.7") == 1
    await fail(app, "ada", client="192.0.2.8")
    clock.advance(1)
    await app.accounts.log_in(login="ada", password=PASSWORD, client="192.0.2.7")
    # A good password of the guesser's own does not make the address innocent.
    await fail(app, "somebody", client="192.0.2.7")
    assert await wait_of(app, "somebody else", client="192.0.2.7") == 2


async def test_many_tries_at_once_do_not_slip_through(app: Application, clock: FrozenClock) -> None:
    for _ in range(FREE["account"]):
        await fail(app)
    clock.advance(2)
    tries = [app.accounts.log_in(login="ada", password="wrong horse") for _ in range(20)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(end, InvalidCredentials) for end in ends) == 1
    assert sum(isinstance(end, TooManyRequests) for end in ends) == 19


async def test_confirming_with_the_password_is_throttled_too(app: Application, clock: FrozenClock) -> None:
    ada = await logged_in(app, again=True)
    for _ in range(FREE["user"]):
        with pytest.raises(InvalidCredentials):
            await app.accounts.change(ada.identity, current_password="wrong", email="new@example.org")
    with pytest.raises(TooManyRequests):
        await app.accounts.delete(ada.identity, current_password=PASSWORD)
    clock.advance(1)
    await app.accounts.change(ada.identity, current_password=PASSWORD, email="new@example.org")


async def test_guessing_invitations_is_throttled_by_address(tmp_path: Path, clock: FrozenClock) -> None:
    account = {"username": "eve", "email": "eve@example.org", "password": PASSWORD}
    async with opened(tmp_path, clock=clock, settings={"EUDAI_SIGNUP": "invite"}) as app:
        for number in range(FREE["client"]):
            with pytest.raises(Forbidden):
                await app.accounts.sign_up(**account, invite=f"guess{number}", client="2001:db8::1")
        with pytest.raises(TooManyRequests):
            await app.accounts.sign_up(**account, invite="guess", client="2001:db8::2")


async def test_it_can_be_turned_off(tmp_path: Path, clock: FrozenClock) -> None:
    async with opened(tmp_path, clock=clock, settings={"EUDAI_RATE_LIMITS": "off"}) as app:
        for _ in range(2 * FREE["account"]):
            await fail(app, client="192.0.2.7")
        async with app.storage.unit_of_work(readonly=True) as unit:
            assert await unit.login_failures.get([account_key("ada"), *client_key("192.0.2.7")]) == {}


async def test_sign_ups_of_an_address_are_bounded_and_hinder_no_log_in(app: Application) -> None:
    for number in range(FREE["signup"]):
        name = f"guest{number}"
        await app.accounts.sign_up(username=name, email=f"{name}@b", password=PASSWORD, client="192.0.2.9")
    with pytest.raises(TooManyRequests) as refused:
        await app.accounts.sign_up(username="more", email="more@b", password=PASSWORD, client="192.0.2.9")
    assert refused.value.retry_after
    await app.accounts.log_in(login="ada", password=PASSWORD, client="192.0.2.9")
    await app.accounts.sign_up(username="other", email="other@b", password=PASSWORD, client="192.0.2.10")


async def test_a_burst_of_tries_is_let_in_one_after_the_other(app: Application) -> None:
    tries = [app.accounts.log_in(login="ada", password="a wrong one", client=f"192.0.2.{n}") for n in range(40)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    wrong = [end for end in ends if isinstance(end, InvalidCredentials)]
    early = [end for end in ends if isinstance(end, TooManyRequests)]
    assert len(wrong) + len(early) == 40
    assert len(wrong) <= FREE["account"]


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("192.0.2.7", ["client:192.0.2.7"]),
        ("2001:db8:1:2:3:4:5:6", ["client:2001:db8:1:2::/64"]),
        ("2001:db8:1:2::9", ["client:2001:db8:1:2::/64"]),
        ("fe80::1%eth0", ["client:fe80::/64"]),
        ("::ffff:192.0.2.7", ["client:192.0.2.7"]),
        ("<local>", []),
        ("", []),
        (None, []),
    ],
)
def test_a_client_is_an_address_or_a_network(client: str | None, key: list[str]) -> None:
    assert client_key(client) == key


def test_names_are_counted_as_they_are_compared_and_stored_as_hashes() -> None:
    assert account_key("Ada") == account_key("ａｄａ") != account_key("bob")
    assert "ada" not in account_key("ada")
