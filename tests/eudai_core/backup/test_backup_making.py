"""Making a backup: online, one at a time, whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from eudai_content.blobs import LocalBlobStore
from eudai_core.backup import making
from eudai_core.backup.hold import BACKUP_JOB, LEASE_SECONDS, backup_hold
from eudai_core.backup.making import make_backup
from eudai_core.backup.progress import Silent
from eudai_core.backup.reading import ArchiveReader
from eudai_core.backup.writing import ArchiveWriter
from eudai_core.clock import SystemClock
from eudai_core.contracts import JobPostponed, Storage
from eudai_core.errors import ConfigError, Conflict, NotFound, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.jobs import JobRunner
from eudai_core.model import Job
from eudai_core.services.garbage import BLOB_JOB, BlobGarbage
from eudai_core.testing.clock import FrozenClock
from eudai_sql.storage import SqlStorage, open_storage
from support.memory_jobs import JobHostDouble
from support.portable import TEXTS, NewUrl, Open, fill
from support.sql_rows import Rows

BODIES = (b"", b"small", bytes(range(256)) * 4000)


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[SqlStorage]:
    opened = open_storage(database_url)
    yield opened
    await opened.aclose()


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


@pytest.fixture
async def rows(storage: SqlStorage, blobs: LocalBlobStore) -> Rows:
    rows = Rows(storage)
    await rows.begin()
    for number, body in enumerate(BODIES):
        file = await rows.add_file(f"{number}.txt", body)
        await blobs.put(file.current.blob_key, pieces(body))
    for text in TEXTS:
        await rows.add_message(text=text)
    return rows


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body


def read(path: Path) -> ArchiveReader:
    reader = ArchiveReader(path)
    reader.verify(Silent())
    return reader


async def jobs_of(storage: Storage) -> bool:
    async with storage.unit_of_work(readonly=True) as unit:
        return await unit.jobs.running(BACKUP_JOB, now=SystemClock().now())


async def test_a_backup_holds_every_row_and_every_blob(
    storage: SqlStorage, rows: Rows, blobs: LocalBlobStore, tmp_path: Path
) -> None:
    report = await make_backup(storage, blobs, tmp_path / "new" / "a.zip", SystemClock())
    reader = read(report.path)
    assert report.size == report.path.stat().st_size
    counted = {name: table.rows for name, table in reader.manifest.tables.items() if table.rows}
    assert counted == {
        "users": 1,
        "projects": 1,
        "conversations": 1,
        "files": len(BODIES),
        "document_versions": len(BODIES),
        "messages": len(TEXTS),
    }
    stored = {b"".join(reader.blob(blob)) for blob in reader.manifest.blobs}
    assert stored == set(BODIES)
    assert reader.manifest.flawed == {}
    assert not await jobs_of(storage)
    reader.close()


async def test_a_backup_of_the_database_alone(storage: SqlStorage, rows: Rows, tmp_path: Path) -> None:
    report = await make_backup(storage, None, tmp_path / "a.zip", SystemClock())
    assert (report.manifest.files, report.manifest.blobs) == (False, [])
    read(report.path).close()


async def test_what_is_missing_or_damaged_already_is_told(
    storage: SqlStorage, rows: Rows, blobs: LocalBlobStore, tmp_path: Path
) -> None:
    missing = await rows.add_file("missing.txt", b"missing")
    changed = await rows.add_file("changed.txt", b"as it was")
    await blobs.put(changed.current.blob_key, pieces(b"not as it was"))
    report = await make_backup(storage, blobs, tmp_path / "a.zip", SystemClock())
    assert report.manifest.flawed == {missing.current.blob_key: "missing", changed.current.blob_key: "changed"}
    reader = read(report.path)
    kept = {blob.key: b"".join(reader.blob(blob)) for blob in reader.manifest.blobs}
    assert kept[changed.current.blob_key] == b"not as it was"
    assert missing.current.blob_key not in kept
    reader.close()


async def test_a_second_backup_is_refused_and_a_third_is_not(storage: SqlStorage, tmp_path: Path) -> None:
    clock = SystemClock()
    async with backup_hold(storage, clock):
        with pytest.raises(Conflict, match="Another backup"):
            await make_backup(storage, None, tmp_path / "b.zip", clock)
        assert not (tmp_path / "b.zip.partial").exists()
    await make_backup(storage, None, tmp_path / "b.zip", clock)


async def test_a_killed_backup_is_forgotten_when_its_lease_has_run_out(storage: SqlStorage) -> None:
    clock = FrozenClock()
    killed = backup_hold(storage, clock)
    await killed.__aenter__()
    renewing = next(task for task in asyncio.all_tasks() if task.get_name() == "eudai-backup-lease")
    renewing.cancel()
    await asyncio.gather(renewing, return_exceptions=True)
    clock.advance(LEASE_SECONDS - 1)
    with pytest.raises(Conflict):
        await backup_hold(storage, clock).__aenter__()
    clock.advance(1)
    async with backup_hold(storage, clock):
        pass


async def test_the_lease_is_renewed_as_long_as_the_backup_runs(storage: SqlStorage) -> None:
    clock = FrozenClock()
    async with backup_hold(storage, clock):
        for _ in range(10):
            await clock.sleeping()
            clock.advance(LEASE_SECONDS / 4)
            await clock.sleeping()
        async with storage.unit_of_work(readonly=True) as unit:
            assert await unit.jobs.running(BACKUP_JOB, now=clock.now())


async def test_an_outage_does_not_end_the_renewing(
    sqlite_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, clock = open_storage(sqlite_url), FrozenClock()
    async with backup_hold(storage, clock):
        whole = storage.unit_of_work

        def down(**_: object) -> Any:
            monkeypatch.setattr(storage, "unit_of_work", whole)
            raise StorageUnavailable("gone for a moment")

        await clock.sleeping()
        monkeypatch.setattr(storage, "unit_of_work", down)
        clock.advance(LEASE_SECONDS / 4)
        await clock.sleeping()
        clock.advance(LEASE_SECONDS / 4)
        await clock.sleeping()
        assert "gone for a moment" in caplog.text
        clock.advance(LEASE_SECONDS - 1)
        async with storage.unit_of_work(readonly=True) as unit:
            assert await unit.jobs.running(BACKUP_JOB, now=clock.now())
    await storage.aclose()


async def test_no_blob_is_deleted_while_a_backup_runs(storage: SqlStorage, rows: Rows, blobs: LocalBlobStore) -> None:
    clock = FrozenClock()
    runner = JobRunner(JobHostDouble(storage), clock, "here")
    garbage = BlobGarbage(storage, blobs, clock, runner.wake)
    runner.add(BLOB_JOB, garbage)
    file = await rows.add_file("gone.txt", b"gone")
    key = file.current.blob_key
    await blobs.put(key, pieces(b"gone"))
    async with runner.running():
        async with backup_hold(storage, clock):
            async with storage.unit_of_work() as unit:
                await garbage.schedule(unit, await unit.documents.delete_file(file.id))
                await unit.commit()
            runner.wake()
            await runner.idle()
            assert b"".join([piece async for piece in blobs.read(key)]) == b"gone"
        clock.advance(31)
        await runner.idle()
    with pytest.raises(NotFound):
        await anext(blobs.read(key))
    async with storage.unit_of_work(readonly=True) as unit:
        assert await unit.jobs.next_due([BLOB_JOB]) is None


async def test_waiting_for_a_backup_is_no_try(storage: SqlStorage, blobs: LocalBlobStore) -> None:
    clock = FrozenClock()
    garbage = BlobGarbage(storage, blobs, clock, lambda: None)
    job = Job(new_id(), BLOB_JOB, "a/b", {"key": "a/b"}, clock.now())
    async with backup_hold(storage, clock):
        with pytest.raises(JobPostponed):
            await garbage.run(job)
    await garbage.run(job)
    runner = JobRunner(JobHostDouble(storage), clock, "here")
    runner.add(BLOB_JOB, garbage)
    async with backup_hold(storage, clock), runner.running():
        await runner.enqueue(BLOB_JOB, "a/b", {"key": "a/b"})
        for _ in range(10):  # more often than a job is tried
            await runner.idle()
            clock.advance(30)
    async with storage.unit_of_work() as unit:
        (waiting,) = await unit.jobs.claim([BLOB_JOB], owner="me", now=clock.now(), until=clock.now(), limit=10)
        assert waiting.attempts == 1
        await unit.commit()


async def test_a_file_that_is_there_is_never_replaced(storage: SqlStorage, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_text("an older backup")
    with pytest.raises(Conflict, match="another name"):
        await make_backup(storage, None, path, SystemClock())
    assert path.read_text() == "an older backup"


@pytest.mark.parametrize(
    ("error", "told"),
    [(OSError(errno.ENOSPC, "No space left on device"), "full"), (OSError(errno.EIO, "I/O error"), "I/O error")],
)
async def test_a_disk_that_fails_leaves_nothing(
    storage: SqlStorage, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, told: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageUnavailable, match=told):
        await make_backup(storage, None, tmp_path / "backups" / "a.zip", SystemClock())
    assert list((tmp_path / "backups").iterdir()) == []
    assert not await jobs_of(storage)


async def test_a_disk_that_is_full_amid_the_rows_is_not_told_as_the_database_s(
    storage: SqlStorage, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ArchiveWriter, "add_rows", fail)
    with pytest.raises(StorageUnavailable, match=r"The disk of .* is full"):
        await make_backup(storage, None, tmp_path / "backups" / "a.zip", SystemClock())
    assert list((tmp_path / "backups").iterdir()) == []


async def test_a_file_that_cannot_be_read_is_named(
    storage: SqlStorage, rows: Rows, blobs: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await rows.add_file("bad.txt", b"bad")

    async def broken(self: LocalBlobStore, key: str) -> AsyncIterator[bytes]:
        if key == file.current.blob_key:
            raise OSError(errno.EIO, "Input/output error")
        yield b"good"

    monkeypatch.setattr(LocalBlobStore, "read", broken)
    with pytest.raises(StorageUnavailable, match=f"The file {file.current.blob_key} cannot be read.*Input/output"):
        await make_backup(storage, blobs, tmp_path / "backups" / "a.zip", SystemClock())
    assert list((tmp_path / "backups").iterdir()) == []


async def test_of_two_backups_under_one_name_each_is_whole_or_refused(
    new_url: NewUrl, opened: Open, tmp_path: Path
) -> None:
    """Of two databases: the hold of one does not know the other."""
    path, storages = tmp_path / "a.zip", [opened(new_url("sqlite")) for _ in range(2)]
    for storage in storages:
        await storage.migrate(())
        await fill(storage)
    done = await asyncio.gather(
        *(make_backup(storage, None, path, SystemClock()) for storage in storages), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["BackupReport", "Conflict"]
    read(path).close()
    assert [name for name in os.listdir(tmp_path) if name.startswith("a.zip")] == ["a.zip"]


async def test_a_directory_that_cannot_be_made_is_named(storage: SqlStorage, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="cannot be written"):
        await make_backup(storage, None, tmp_path / "file" / "a.zip", SystemClock())


async def test_a_cancelled_backup_leaves_nothing(
    storage: SqlStorage, rows: Rows, blobs: LocalBlobStore, tmp_path: Path
) -> None:
    reached = asyncio.Event()

    class Stopping(Silent):
        def begin(self, stage: str, total: int) -> None:
            if stage == "Files":
                reached.set()

    task = asyncio.create_task(make_backup(storage, blobs, tmp_path / "backups" / "a.zip", SystemClock(), Stopping()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list((tmp_path / "backups").iterdir()) == []
    assert not await jobs_of(storage)


async def test_a_storage_without_the_capability_is_told(tmp_path: Path) -> None:
    storage: Any = object()
    with pytest.raises(ConfigError, match="tools that came with it"):
        await making.make_backup(storage, None, tmp_path / "a.zip", SystemClock())
