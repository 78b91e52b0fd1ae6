"""Waiting for a connection: many at once are no failure, and a database that answers nobody is told fast."""

from __future__ import annotations

import asyncio
import time

import pytest
import sqlalchemy as sa

from eudai_sql.engines import PoolSizes
from eudai_sql.storage import SqlStorage, open_storage
from eudai_sql.turns import Turns
from support.sql_rows import Rows

MANY = 400
_NAP = sa.text("select 1 from pg_sleep(0.01)")


async def nap(storage: SqlStorage) -> None:
    async with storage.unit_of_work(readonly=True) as unit:
        await unit.transaction.rows(_NAP)


async def test_a_long_line_that_moves_is_no_failure(postgres_url: str) -> None:
    storage = open_storage(postgres_url, PoolSizes(kept=2, overflow=0))
    try:
        begun = time.monotonic()
        await asyncio.gather(*(nap(storage) for _ in range(MANY)))
        assert time.monotonic() - begun > 1.9, "nobody waited for longer than the database may be silent"
    finally:
        await storage.aclose()


async def test_those_who_leave_the_line_give_their_place_to_others(postgres_url: str) -> None:
    storage = open_storage(postgres_url, PoolSizes(kept=1, overflow=0))
    try:
        rows = Rows(storage)
        await rows.begin()
        async with storage.unit_of_work() as unit:
            await unit.users.get(rows.user.id)
            waiting = [asyncio.create_task(nap(storage)) for _ in range(20)]
            await asyncio.wait(waiting, timeout=0)
            for task in waiting[::2]:
                task.cancel()
            await unit.commit()
        assert len([r for r in await asyncio.gather(*waiting, return_exceptions=True) if r is None]) == 10
        await nap(storage)
    finally:
        await storage.aclose()


async def test_nobody_waits_when_nobody_is_answered() -> None:
    turns = Turns(1)
    begun = asyncio.get_running_loop().time()
    await turns.take(begun, 0.01)
    with pytest.raises(sa.exc.TimeoutError):
        await turns.take(begun, 0.01)
    turns.give_back()
    await turns.take(begun, 0.01)


async def test_who_is_called_and_leaves_at_the_same_moment_passes_the_turn_on() -> None:
    turns = Turns(1)
    begun = asyncio.get_running_loop().time()
    await turns.take(begun, 10)
    first, second = (asyncio.create_task(turns.take(begun, 10)) for _ in range(2))
    await asyncio.wait([first, second], timeout=0)
    turns.give_back()
    first.cancel()
    await second
    assert first.cancelled()
