"""The conformance suite of storages, for pytest (with pytest-asyncio).

Subclass it in a test module and override one fixture, or more::

    class TestMyStorage(StorageSuite):
        @pytest.fixture
        async def storage(self, tmp_path):
            storage = MyStorage(tmp_path)
            await storage.migrate(())
            yield storage
            await storage.aclose()

        @pytest.fixture
        async def another(self, storage, tmp_path):
            other = MyStorage(tmp_path)
            yield other
            await other.aclose()

Each check has a name, which is its id in pytest (``pytest -k lease``) and the key in ``lacks``. New checks come with
minor releases only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
import pytest_asyncio

from eudai_core.contracts import Storage
from eudai_core.testing._storage.checks import CHECKS
from eudai_core.testing._storage.rows import Rows
from eudai_core.testing._storage.units import check_unavailable

__all__ = ["StorageSuite"]


@pytest.mark.asyncio
class StorageSuite:
    """Checks a storage against :mod:`eudai_core.contracts.storage`, sentence by sentence."""

    lacks: ClassVar[Mapping[str, str]] = {}
    """Checks that the storage does not pass yet, by name, with the reasons that the skipped tests will show."""

    @pytest.fixture
    def storage(self) -> Storage:
        """Return the storage under test, empty and migrated; override this."""
        pytest.fail(f"{type(self).__name__} must override the fixture `storage`")

    @pytest.fixture
    def another(self, storage: Storage) -> Storage:
        """Return a second handle on the same data, as another process has; without one it is the same handle."""
        return storage

    @pytest.fixture
    def unavailable(self) -> Storage | None:
        """Return a storage whose database does not answer; None where there is no such thing."""
        return None

    @pytest_asyncio.fixture
    async def rows(self, storage: Storage, another: Storage) -> Rows:
        """Return the storage with rows to begin with."""
        rows = Rows(storage, another)
        await rows.begin()
        return rows

    @pytest.mark.parametrize("name", CHECKS)
    async def test_contract(self, name: str, rows: Rows) -> None:
        """One promise of the contract."""
        unknown = set(self.lacks) - set(CHECKS)
        if unknown:
            pytest.fail(f"`lacks` names {min(unknown)!r}, which is no check of this suite")
        if name in self.lacks:
            pytest.skip(f"lacks {name}: {self.lacks[name]}")
        await CHECKS[name](rows)

    async def test_unavailable(self, unavailable: Storage | None) -> None:
        """A database that does not answer is told within two seconds."""
        if unavailable is None:
            pytest.skip("this storage is always there")
        await check_unavailable(unavailable)
