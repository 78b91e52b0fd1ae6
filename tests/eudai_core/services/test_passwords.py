"""Passwords: the same work for everybody, and nobody waits for somebody else's."""

from __future__ import annotations

import asyncio
import statistics
import time
import unicodedata
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from eudai_auth.passwords import BcryptHasher
from eudai_core.app import Application
from eudai_core.errors import InvalidCredentials, InvalidInput, TooManyRequests
from eudai_core.services.passwords import QUEUE, Passwords
from support.accounts import PASSWORD, logged_in, opened

OFF = {"EUDAI_RATE_LIMITS": "off"}


class Counting(BcryptHasher):
    """bcrypt that counts what it is asked for."""

    def __init__(self, cost: int = 4) -> None:
        super().__init__(cost)
        self.calls: list[str] = []

    def hash(self, password: str) -> str:
        self.calls.append("hash")
        return super().hash(password)

    def verify(self, password: str, encoded: str) -> bool:
        self.calls.append("verify")
        return super().verify(password, encoded)


@pytest.fixture
def hasher() -> Counting:
    return Counting()


@pytest.fixture
def passwords(hasher: Counting) -> Iterator[Passwords]:
    found = Passwords({"bcrypt": hasher})
    yield found
    found.close()


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Application]:
    async with opened(tmp_path, settings=OFF) as app:
        await app.accounts.create_user(username="ada", email="ada@example.org", password=PASSWORD)
        yield app


async def test_every_answer_takes_the_same_calls(passwords: Passwords, hasher: Counting) -> None:
    encoded = await passwords.hash(PASSWORD)
    hasher.calls.clear()
    assert await passwords.verify(PASSWORD, encoded)
    assert hasher.calls == ["hash", "verify"]  # nobody's hash is made before the first answer
    for password, known in (
        (PASSWORD, None),
        ("wrong", encoded),
        ("x" * 5000, encoded),
        (PASSWORD, "no hash"),
        ("", None),
    ):
        hasher.calls.clear()
        assert not await passwords.verify(password, known)
        assert hasher.calls == ["verify"]


async def test_unknown_user_and_wrong_password_differ_in_nothing(app: Application) -> None:
    answers: dict[str, list[float]] = {"ada": [], "nobody": [], "ada@example.org": []}
    details = set()
    for _ in range(60):
        for login, times in answers.items():
            begun = time.perf_counter()
            with pytest.raises(InvalidCredentials) as refused:
                await app.accounts.log_in(login=login, password="wrong horse")
            times.append(time.perf_counter() - begun)
            details.add(refused.value.detail)
    assert len(details) == 1
    medians = [statistics.median(times) for times in answers.values()]
    # The goal is a fifth; a busy machine is given more room here.
    assert max(medians) < 1.5 * min(medians)


async def test_a_disabled_user_looks_like_an_unknown_one(app: Application) -> None:
    await app.operator.change((await app.operator.find("ada")).id, disabled=True)
    details = set()
    for login in ("ada", "nobody"):
        with pytest.raises(InvalidCredentials) as refused:
            await app.accounts.log_in(login=login, password=PASSWORD)
        details.add(refused.value.detail)
    assert len(details) == 1


async def test_the_same_characters_typed_otherwise_are_the_same_password(passwords: Passwords) -> None:
    composed, decomposed = "Zoë ﬁts in", unicodedata.normalize("NFD", "Zoë fits in")
    assert composed != decomposed
    assert await passwords.verify(decomposed, await passwords.hash(composed))


@pytest.mark.parametrize("password", ["x" * 73, "é" * 37, "ﬃ" * 25, "x" * 5000, "short", "", "\ud800" * 9])
async def test_a_password_that_cannot_be_kept_is_invalid_data(passwords: Passwords, password: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await passwords.hash(password)
    assert [error.path for error in refused.value.errors] == ["$.password"]
    encoded = await passwords.hash(PASSWORD)
    assert not await passwords.verify(password, encoded)


async def test_a_log_in_makes_the_hash_anew_when_the_cost_changed(tmp_path: Path) -> None:
    async with opened(tmp_path, settings=OFF) as app:
        await logged_in(app)
    for cost in ("5", "4"):
        async with opened(tmp_path, settings={**OFF, "EUDAI_AUTH_BCRYPT_COST": cost}) as app:
            for _ in range(2):
                await app.accounts.log_in(login="ada", password=PASSWORD)
            async with app.storage.unit_of_work(readonly=True) as unit:
                found = await unit.users.by_login("ada")
            assert found is not None
            assert found[1].startswith(f"$2b$0{cost}$")


async def test_more_than_may_wait_are_asked_to_come_again(passwords: Passwords) -> None:
    encoded = await passwords.hash(PASSWORD)
    assert await passwords.verify(PASSWORD, encoded)
    ends = await asyncio.gather(
        *(passwords.verify(PASSWORD, encoded) for _ in range(QUEUE + 20)), return_exceptions=True
    )
    assert sum(end is True for end in ends) == QUEUE
    refused = [end for end in ends if isinstance(end, TooManyRequests)]
    assert len(refused) == 20
    assert all(end.retry_after for end in refused)
    assert await passwords.verify(PASSWORD, encoded)


async def longest_stall(*calls: object) -> float:
    """Return for how long the event loop did not turn while the calls were made."""
    longest, ended = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal longest
        while not ended.is_set():
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - begun - 0.005)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*calls)  # type: ignore[call-overload]  # coroutines
    ended.set()
    await watching
    return longest


async def test_four_log_ins_at_once_hardly_stall_the_loop(tmp_path: Path) -> None:
    async with opened(tmp_path, settings={**OFF, "EUDAI_AUTH_BCRYPT_COST": "10"}) as app:
        await logged_in(app)
        stall = await longest_stall(*(app.accounts.log_in(login="ada", password=PASSWORD) for _ in range(4)))
    # The goal is a tenth of a second; a busy machine is given five times that.
    assert stall < 0.5


async def test_sixty_log_ins_at_once_do_not_stall_reads(tmp_path: Path) -> None:
    async with opened(tmp_path, settings={**OFF, "EUDAI_AUTH_BCRYPT_COST": "8"}) as app:
        ada = await logged_in(app)
        log_ins = asyncio.gather(*(app.accounts.log_in(login="ada", password=PASSWORD) for _ in range(60)))
        slowest, reads = 0.0, 0
        while not log_ins.done():
            begun = time.perf_counter()
            await app.projects.list(ada.identity)
            slowest, reads = max(slowest, time.perf_counter() - begun), reads + 1
        assert len(await log_ins) == 60
    assert reads > 10
    assert slowest < 1.0
