"""The conformance checks of storages catch storages that break the contract, each in its own way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from eudai_core.errors import NotFound, StorageUnavailable
from eudai_core.model import Health, HealthStatus
from eudai_core.testing import MemoryStorage, StorageSuite
from eudai_core.testing._memory import state, transaction
from eudai_core.testing._storage.checks import CHECKS
from eudai_core.testing._storage.keeping import BrokenContract, must_equal, refuses
from eudai_core.testing._storage.rows import Rows
from eudai_core.testing._storage.units import check_unavailable
from support.storage_mutants import MUTANTS, Mutant


async def begun() -> Rows:
    storage = MemoryStorage()
    rows = Rows(storage, storage.another())
    await rows.begin()
    return rows


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
async def test_mutants_are_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = await begun()
    monkeypatch.setattr(mutant.home, mutant.name, mutant.make(getattr(mutant.home, mutant.name)))
    if mutant.home is transaction.Database:
        rows = await begun()
    with pytest.raises((BrokenContract, NotFound)):
        await asyncio.wait_for(CHECKS[mutant.check](rows), 5)


def test_every_check_is_proven() -> None:
    assert set(CHECKS) - {mutant.check for mutant in MUTANTS} == {"closes_twice"}


async def test_storage_that_closes_for_all_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def closes_for_all(storage: MemoryStorage) -> None:
        storage._database.state = state.State()

    monkeypatch.setattr(MemoryStorage, "aclose", closes_for_all)
    with pytest.raises(Exception, match="There is no project"):
        await CHECKS["closes_twice"](await begun())


class AwayStorage(MemoryStorage):
    """A storage whose database does not answer, and how it says so."""

    def __init__(self, error: Exception | None, health: HealthStatus = HealthStatus.DOWN) -> None:
        super().__init__()
        self.error = error
        self.status = health

    def unit_of_work(self, *, readonly: bool = False, snapshot: bool = True) -> Any:
        if self.error is not None:
            raise self.error
        return super().unit_of_work(readonly=readonly, snapshot=snapshot)

    async def health(self) -> Health:
        return Health(self.status)


async def test_storage_that_is_away() -> None:
    error = StorageUnavailable("away", retry_after=2.0)
    await check_unavailable(AwayStorage(error))
    for storage, sentence in (
        (AwayStorage(None), "raises StorageUnavailable"),
        (AwayStorage(StorageUnavailable("away")), "after how many seconds"),
        (AwayStorage(error, HealthStatus.OK), "is down"),
    ):
        with pytest.raises(BrokenContract, match=sentence):
            await check_unavailable(storage)


def test_what_is_not_kept_is_told() -> None:
    must_equal((1, {"a": [2]}), [1, {"a": (2,)}], "the kind of sequence does not matter")
    with pytest.raises(BrokenContract, match=r"they are one\n  found    \[1\]\n  expected \[2\]"):
        must_equal([1], (2,), "they are one")
    with pytest.raises(BrokenContract, match="…"):
        must_equal("a" * 9999, "", "short")
    with pytest.raises(BrokenContract, match="it raised KeyError"), refuses(ValueError, "x"):
        raise KeyError
    with pytest.raises(BrokenContract, match="nothing was raised"), refuses(ValueError, "x"):
        pass
    with pytest.raises(KeyboardInterrupt), refuses(Exception, "x"):
        raise KeyboardInterrupt


async def test_what_a_storage_may_lack() -> None:
    class Short(StorageSuite):
        lacks = {"health": "nobody asks"}  # noqa: RUF012 -- a ClassVar of the suite

    class Wrong(StorageSuite):
        lacks = {"wealth": "nobody asks"}  # noqa: RUF012 -- a ClassVar of the suite

    with pytest.raises(pytest.skip.Exception, match="nobody asks"):
        await Short().test_contract("health", await begun())
    with pytest.raises(pytest.fail.Exception, match="wealth"):
        await Wrong().test_contract("health", await begun())
    with pytest.raises(pytest.skip.Exception, match="always there"):
        await Short().test_unavailable(None)
