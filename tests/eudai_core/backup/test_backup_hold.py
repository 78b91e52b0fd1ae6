"""The hold of a backup: when it is gone the backup ends, and nothing of it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from eudai_core.backup.hold import BACKUP_JOB, LEASE_SECONDS, backup_hold
from eudai_core.backup.making import make_backup
from eudai_core.backup.progress import Silent
from eudai_core.errors import StorageUnavailable
from eudai_core.testing.clock import FrozenClock
from eudai_sql.storage import SqlStorage, open_storage
from support.sql_rows import Rows

ENDED = "The backup was ended"


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[SqlStorage]:
    opened = open_storage(database_url)
    yield opened
    await opened.aclose()


async def take_over(storage: SqlStorage, clock: FrozenClock) -> None:
    """Take the job from the backup, as somebody may whose clock is ahead."""
    late = clock.now() + timedelta(days=1)
    async with storage.unit_of_work() as unit:
        assert await unit.jobs.claim([BACKUP_JOB], owner="another", now=late, until=late + timedelta(days=1), limit=1)
        await unit.commit()


class At(Silent):
    """A Progress that does something at the beginning of a stage."""

    def __init__(self, stage: str, what: Callable[[], None]) -> None:
        self._stage = stage
        self._what = what

    def begin(self, stage: str, total: int) -> None:
        if stage == self._stage:
            self._what()


async def test_a_renewal_that_finds_no_row_ends_the_hold(storage: SqlStorage) -> None:
    clock = FrozenClock()
    async with backup_hold(storage, clock) as hold:
        await clock.sleeping()
        hold.check()
        await take_over(storage, clock)
        clock.advance(LEASE_SECONDS / 4)
        (renewing,) = (task for task in asyncio.all_tasks() if task.get_name() == "eudai-backup-lease")
        await renewing
        with pytest.raises(StorageUnavailable, match=ENDED):
            hold.check()
        with pytest.raises(StorageUnavailable, match=ENDED):
            await hold.confirm()


async def test_a_lease_that_ran_out_in_between_is_not_taken_up_again(storage: SqlStorage) -> None:
    clock = FrozenClock()
    async with backup_hold(storage, clock) as hold:
        clock.advance(LEASE_SECONDS)  # as when the machine slept: nobody claimed it, and blobs may be gone
        for _ in range(2):
            with pytest.raises(StorageUnavailable, match=ENDED):
                await hold.confirm()


async def test_the_hold_is_looked_at_before_the_backup_gets_its_name(storage: SqlStorage, tmp_path: Path) -> None:
    clock, rows = FrozenClock(), Rows(storage)
    await rows.begin()
    await rows.add_file()
    blobs: Any = Blobs(storage, clock)
    with pytest.raises(StorageUnavailable, match=ENDED):
        await make_backup(storage, blobs, tmp_path / "backups" / "a.zip", clock)
    assert list((tmp_path / "backups").iterdir()) == []


class Blobs:
    """Holds one empty file; while it is read the backup loses its hold."""

    def __init__(self, storage: SqlStorage, clock: FrozenClock) -> None:
        self._storage = storage
        self._clock = clock

    async def read(self, key: str) -> AsyncIterator[bytes]:
        await take_over(self._storage, self._clock)
        yield b""


async def test_a_backup_ends_at_its_next_step(storage: SqlStorage, tmp_path: Path) -> None:
    clock = FrozenClock()
    await Rows(storage).begin()
    stages: list[str] = []

    class Late(Silent):
        def begin(self, stage: str, total: int) -> None:
            stages.append(stage)
            clock.advance(LEASE_SECONDS)

    with pytest.raises(StorageUnavailable, match=ENDED):
        await make_backup(storage, Blobs(storage, clock), tmp_path / "a.zip", clock, Late())  # type: ignore[arg-type]  # it is not read
    assert stages == ["Rows"]
    assert not (tmp_path / "a.zip").exists()


async def test_any_fault_of_a_renewal_is_told_and_tried_again(
    sqlite_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, clock = open_storage(sqlite_url), FrozenClock()
    async with backup_hold(storage, clock) as hold:
        whole = storage.unit_of_work

        def odd(**_: object) -> Any:
            monkeypatch.setattr(storage, "unit_of_work", whole)
            raise RuntimeError("something odd")

        await clock.sleeping()
        monkeypatch.setattr(storage, "unit_of_work", odd)
        for _ in range(6):
            clock.advance(LEASE_SECONDS / 4)
            await clock.sleeping()
        hold.check()
        assert "something odd" in caplog.text
    await storage.aclose()


async def test_an_answer_that_is_late_at_the_end_is_waited_for(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, clock = open_storage(sqlite_url), FrozenClock()
    async with backup_hold(storage, clock) as hold:
        whole = storage.unit_of_work

        def down(**_: object) -> Any:
            raise StorageUnavailable("gone for a moment")

        await clock.sleeping()
        monkeypatch.setattr(storage, "unit_of_work", down)
        confirming = asyncio.create_task(hold.confirm())
        await clock.sleeping(2)
        monkeypatch.setattr(storage, "unit_of_work", whole)
        clock.advance(1)
        await confirming
    await storage.aclose()
