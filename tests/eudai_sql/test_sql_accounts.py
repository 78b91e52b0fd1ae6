"""Users, sessions, refresh tokens."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.errors import Conflict, InvalidInput, NotFound
from eudai_core.ids import new_id
from eudai_core.model import RefreshUse, Session
from eudai_sql.storage import SqlStorage
from support.sql_rows import NOW, Rows, at


async def test_storage_and_unit_of_work_are_what_the_contract_says(storage: SqlStorage) -> None:
    kept: Storage = storage
    work: UnitOfWork = kept.unit_of_work()
    async with work:
        assert isinstance(kept, Storage)


async def test_user_is_found_by_id_name_and_address(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work(readonly=True) as work:
        assert await work.users.get(rows.user.id) == rows.user
        for login in ("Ada", "ada", "ADA", "Ada@Example.org", "Ａｄａ"):
            assert await work.users.by_login(login) == (rows.user, "hash")
        assert await work.users.by_login("bob") is None


@pytest.mark.parametrize(("username", "email"), [("aDA", "other@example.org"), ("other", "ADA@example.ORG")])
async def test_name_and_address_are_unique_without_case(
    storage: SqlStorage, rows: Rows, username: str, email: str
) -> None:
    async with storage.unit_of_work() as work:
        with pytest.raises(Conflict, match="taken"):
            await work.users.add(replace(rows.user, id=new_id(), username=username, email=email), "hash")


async def test_address_goes_before_a_name_that_looks_like_it(storage: SqlStorage, rows: Rows) -> None:
    impostor = replace(rows.user, id=new_id(), username="ada@example.org", email="mallory@example.org")
    async with storage.unit_of_work() as work:
        await work.users.add(impostor, "other hash")
        assert await work.users.by_login("ada@example.org") == (rows.user, "hash")


async def test_password_hash_is_replaced(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work() as work:
        await work.users.set_password_hash(rows.user.id, "new")
        assert await work.users.by_login("ada") == (rows.user, "new")
        with pytest.raises(NotFound):
            await work.users.set_password_hash(new_id(), "new")


async def test_unknown_objects_are_not_found(storage: SqlStorage) -> None:
    async with storage.unit_of_work(readonly=True) as work:
        with pytest.raises(NotFound):
            await work.users.get(new_id())
        with pytest.raises(NotFound):
            await work.sessions.get(new_id())


@pytest.mark.parametrize("name", ["nul\x00", "half \ud800"])
async def test_text_that_no_database_keeps_is_invalid_input(storage: SqlStorage, rows: Rows, name: str) -> None:
    async with storage.unit_of_work() as work:
        with pytest.raises(InvalidInput):
            await work.users.add(replace(rows.user, id=new_id(), username=name), "hash")
    async with storage.unit_of_work(readonly=True) as work:
        with pytest.raises(InvalidInput):
            await work.users.by_login(name)


async def test_session_is_revoked_once(storage: SqlStorage, rows: Rows) -> None:
    session = Session(new_id(), rows.user.id, NOW, at(60))
    async with storage.unit_of_work() as work:
        await work.sessions.add(session)
        await work.sessions.revoke(session.id, at(1))
        await work.sessions.revoke(session.id, at(2))
        assert await work.sessions.get(session.id) == replace(session, revoked_at=at(1))
        with pytest.raises(NotFound):
            await work.sessions.revoke(new_id(), NOW)


async def test_session_of_nobody_is_refused(storage: SqlStorage) -> None:
    async with storage.unit_of_work() as work:
        with pytest.raises(NotFound):
            await work.sessions.add(Session(new_id(), new_id(), NOW, NOW))


async def test_refresh_token_is_spent_by_exactly_one_caller(storage: SqlStorage, rows: Rows) -> None:
    session = Session(new_id(), rows.user.id, NOW, at(60))
    async with storage.unit_of_work() as work:
        await work.sessions.add(session)
        await work.sessions.add_refresh_token("a" * 64, session.id, at(10))
        await work.commit()

    async def spend() -> RefreshUse | None:
        async with storage.unit_of_work() as work:
            use = await work.sessions.spend_refresh_token("a" * 64, at(5))
            await work.commit()
            return use

    uses = await asyncio.gather(*(spend() for _ in range(8)))
    assert sorted(use.reused for use in uses if use) == [False] + [True] * 7
    assert {use.session_id for use in uses if use} == {session.id}


async def test_expired_or_unknown_refresh_token_is_none(storage: SqlStorage, rows: Rows) -> None:
    session = Session(new_id(), rows.user.id, NOW, at(60))
    async with storage.unit_of_work() as work:
        await work.sessions.add(session)
        await work.sessions.add_refresh_token("a" * 64, session.id, at(10))
        assert await work.sessions.spend_refresh_token("a" * 64, at(10)) is None
        assert await work.sessions.spend_refresh_token("b" * 64, at(1)) is None
