"""The key ring: which key signs, which are accepted, and how processes learn of a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest

from eudai_auth.keys import FRESH_S, LOOK_S, KeyRing
from eudai_auth.tokens import JwtAuthenticator, JwtIssuer
from eudai_core.contracts import Storage
from eudai_core.errors import InvalidCredentials, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import Credentials, Session, SigningKeyRecord, User
from eudai_core.services.signing_keys import SigningKeyNames
from eudai_core.testing.clock import FrozenClock
from eudai_core.testing.memory_storage import MemoryStorage
from eudai_sql.storage import open_storage

ROOT = b"k" * 32
NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
USER = User(new_id(), "ada", "ada@example.org", NOW)
SESSION = Session(new_id(), USER.id, NOW, NOW + 30 * DAY)


class Names(SigningKeyNames):
    """Names that count how often they are read, and can be out of reach."""

    def __init__(self, storage: Storage, clock: FrozenClock, root: bytes = ROOT) -> None:
        super().__init__(storage, clock, root)
        self.reads = 0
        self.away = False

    async def accepted(self) -> Sequence[SigningKeyRecord]:
        self.reads += 1
        if self.away:
            raise StorageUnavailable("The database does not answer.")
        return await super().accepted()


class Process:
    """A process of a deployment: its own ring over the common storage."""

    def __init__(self, storage: Storage, clock: FrozenClock, root: bytes = ROOT) -> None:
        self.names = Names(storage, clock, root)
        self.ring = KeyRing(self.names, root, clock)
        self._issuer = JwtIssuer(self.ring, clock)
        self._authenticator = JwtAuthenticator(self.ring, clock)

    async def token(self, seconds: int = 30 * 86_400) -> str:
        return await self._issuer.issue(USER, SESSION, ttl_seconds=seconds)

    async def accepts(self, token: str) -> bool:
        try:
            return await self._authenticator.authenticate(Credentials("bearer", token)) is not None
        except InvalidCredentials:
            return False


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def storage() -> Storage:
    return MemoryStorage()


@pytest.fixture
def one(storage: Storage, clock: FrozenClock) -> Process:
    return Process(storage, clock)


@pytest.fixture
def two(storage: Storage, clock: FrozenClock) -> Process:
    return Process(storage, clock)


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def test_the_first_use_makes_one_key_however_many_begin_at_once(tmp_path: Path, clock: FrozenClock) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'a.db'}")
    try:
        await storage.migrate([])
        processes = [Process(storage, clock) for _ in range(12)]
        tokens = await asyncio.gather(*(process.token() for process in processes))
        assert len({kid(token) for token in tokens}) == 1
        assert all([await processes[-1].accepts(token) for token in tokens])
        async with storage.unit_of_work(readonly=True) as unit:
            assert len(await unit.signing_keys.list()) == 1
    finally:
        await storage.aclose()


async def test_after_a_rotation_new_tokens_have_the_new_key_and_old_ones_are_good_for_a_while(
    one: Process, two: Process, clock: FrozenClock
) -> None:
    old = await one.token()
    assert await two.accepts(old)
    clock.advance(1)
    record = await two.names.rotate(retire_after=timedelta(hours=24))
    clock.advance(FRESH_S + 1)
    fresh = await one.token()
    assert kid(fresh) == record.kid != kid(old)
    assert await two.accepts(fresh)
    assert await two.accepts(old)
    clock.advance(24 * 3600)
    assert not await one.accepts(old)
    assert not await two.accepts(old)
    assert await one.accepts(fresh)


async def test_another_process_accepts_the_new_key_at_once(one: Process, two: Process, clock: FrozenClock) -> None:
    assert await two.accepts(await one.token())
    clock.advance(LOOK_S + 0.1)
    await one.names.rotate(retire_after=DAY)
    other = Process(one.names._storage, clock)
    assert await two.accepts(await other.token())


async def test_a_key_can_end_at_once(one: Process, clock: FrozenClock) -> None:
    old = await one.token()
    await one.names.rotate(retire_after=timedelta(0))
    clock.advance(FRESH_S + 1)
    assert not await one.accepts(old)


async def test_a_second_rotation_does_not_lengthen_the_life_of_a_key(one: Process, clock: FrozenClock) -> None:
    old = await one.token()
    await one.names.rotate(retire_after=timedelta(minutes=10))
    clock.advance(60)
    await one.names.rotate(retire_after=DAY)
    clock.advance(600)
    assert not await one.accepts(old)


async def test_retired_names_are_forgotten(one: Process, storage: Storage, clock: FrozenClock) -> None:
    await one.token()
    await one.names.rotate(retire_after=timedelta(0))
    clock.advance(2 * 86_400)
    await one.names.rotate(retire_after=DAY)
    async with storage.unit_of_work(readonly=True) as unit:
        assert len(await unit.signing_keys.list()) == 2


async def test_tokens_of_unknown_keys_are_no_load_on_the_storage(one: Process, clock: FrozenClock) -> None:
    good = await one.token()
    head, body, signature = good.split(".")
    before = one.names.reads
    for number in range(200):
        assert not await one.accepts(f"{head[:-1]}{number % 10}x.{body}.{signature}")
    assert one.names.reads - before <= 1
    for _ in range(3):
        clock.advance(LOOK_S + 0.1)
        assert not await one.accepts(f"x{head}.{body}.{signature}")
    assert one.names.reads - before <= 4
    for _ in range(50):
        assert await one.accepts(good)
    assert one.names.reads - before <= 4


async def test_what_was_read_is_used_while_the_storage_is_away(one: Process, clock: FrozenClock) -> None:
    good = await one.token()
    one.names.away = True
    clock.advance(FRESH_S + 1)
    assert await one.accepts(good)
    assert await one.accepts(await one.token())
    one.names.away = False
    clock.advance(LOOK_S + 0.1)
    before = one.names.reads
    assert await one.accepts(good)
    assert one.names.reads == before + 1


async def test_without_storage_a_new_process_says_so_and_refuses_nobody(one: Process, two: Process) -> None:
    good = await one.token()
    two.names.away = True
    with pytest.raises(StorageUnavailable):
        await two.accepts(good)
    two.names.away = False
    assert await two.accepts(good)


async def test_processes_with_another_secret_leave_each_other_alone(
    one: Process, storage: Storage, clock: FrozenClock
) -> None:
    other = Process(storage, clock, b"o" * 32)
    mine, theirs = await one.token(), await other.token()
    clock.advance(LOOK_S + 0.1)
    assert not await one.accepts(theirs)
    assert not await other.accepts(mine)
    assert await one.accepts(mine)
    assert await other.accepts(theirs)
