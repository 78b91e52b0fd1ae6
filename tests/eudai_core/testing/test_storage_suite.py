"""The storage in memory passes the conformance suite of storages."""

from __future__ import annotations

import pytest

from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.testing import MemoryStorage, StorageSuite


class TestMemoryStorage(StorageSuite):
    test_unavailable = None  # type: ignore[assignment]  # memory is always there: this check is none of it

    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()

    @pytest.fixture
    def another(self, storage: Storage) -> Storage:
        assert isinstance(storage, MemoryStorage)
        return storage.another()


async def test_types_are_the_contract_s() -> None:
    storage: Storage = MemoryStorage()
    work: UnitOfWork = storage.unit_of_work()
    async with work:
        assert await work.users.by_login("ada") is None
