"""A connection pooler in transaction mode between us and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import sqlalchemy as sa

from eudai_core.errors import StorageUnavailable
from eudai_core.model import HealthStatus
from eudai_sql.settings import DatabaseSettings
from eudai_sql.storage import SqlStorage, open_storage
from support.pgbouncer import pgbouncer
from support.sql_rows import Rows


@pytest.fixture
def pooled_url(postgres_url: str) -> Iterator[str]:
    with pgbouncer(postgres_url) as url:
        yield url


@pytest.fixture
async def pooled(pooled_url: str, postgres_url: str) -> AsyncIterator[SqlStorage]:
    storage = open_storage(pooled_url, direct_url=postgres_url)
    yield storage
    await storage.aclose()


async def test_everything_works_through_it(pooled: SqlStorage) -> None:
    assert await pooled.migrate(()) == []
    assert (await pooled.health()).status is HealthStatus.OK
    rows = Rows(pooled)
    await rows.begin()

    async def work(number: int) -> None:
        await rows.add_conversation()
        async with pooled.unit_of_work(readonly=True, snapshot=number % 2 == 0) as unit:
            await unit.users.by_login("ada")
            await unit.conversations.get(rows.conversation.id)

    # Twenty connections of ours share two of the server, so that nearly every transaction meets another session.
    for _ in range(3):
        await asyncio.gather(*(work(number) for number in range(60)))
    async with pooled.unit_of_work(readonly=True) as unit:
        assert (await unit.projects.get(rows.project.id)).counts.conversations == 181
        # Its own, and no other: a pooler that is to keep sessions clean need do nothing for us.
        names = await unit.transaction.rows(sa.text("select name from pg_prepared_statements where name <> ''"))
        assert names == []


async def test_without_saying_so_it_is_refused_and_told(pooled_url: str, postgres_url: str) -> None:
    storage = open_storage(pooled_url, direct_url=postgres_url, pooler=False)
    try:
        with pytest.raises(StorageUnavailable):
            await Rows(storage).begin()
        detail = (await storage.health()).detail
        assert "EUDAI_DATABASE_POOLER" in detail
    finally:
        await storage.aclose()


def test_a_pooler_needs_a_way_around_it() -> None:
    with pytest.raises(ValueError, match="EUDAI_DATABASE_DIRECT_URL"):
        DatabaseSettings(pooler=True)
