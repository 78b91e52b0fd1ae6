"""The SQL storage passes the conformance suite on SQLite and on PostgreSQL, as two processes on one database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.testing import MemoryStorage, StorageSuite
from eudai_core.testing._storage.keeping import must_equal
from eudai_sql.storage import SqlStorage, open_storage
from support.storage_scripts import STEPS, Script

Steps = list[tuple[str, int, int]]


class TestSqlStorage(StorageSuite):
    @pytest.fixture
    async def storage(self, database_url: str) -> AsyncIterator[SqlStorage]:
        opened = open_storage(database_url)
        yield opened
        await opened.aclose()

    @pytest.fixture
    async def another(self, database_url: str) -> AsyncIterator[SqlStorage]:
        opened = open_storage(database_url)
        yield opened
        await opened.aclose()

    @pytest.fixture
    async def unavailable(self) -> AsyncIterator[SqlStorage]:
        opened = open_storage("postgresql://nobody@127.0.0.1:1/none")
        yield opened
        await opened.aclose()


async def test_types_are_the_contract_s(database_url: str) -> None:
    opened = open_storage(database_url)
    storage: Storage = opened
    work: UnitOfWork = storage.unit_of_work()
    async with work:
        assert await work.users.by_login("ada") is None
    await opened.aclose()


@given(
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 7), st.integers(0, 3)), min_size=5, max_size=40)
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_calls_have_the_outcomes_that_they_have_in_memory(storage: SqlStorage, steps: Steps) -> None:
    script = Script(steps)
    must_equal(await script.play(storage), await script.play(MemoryStorage()), "every call has the same outcome")
