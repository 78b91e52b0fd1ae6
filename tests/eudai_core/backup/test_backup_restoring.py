"""Restoring: everything as it was, or nothing touched."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eudai_content.blobs import LocalBlobStore
from eudai_core.backup.making import make_backup
from eudai_core.backup.restoring import restore_backup
from eudai_core.clock import SystemClock
from eudai_core.errors import BadFile, ConfigError, Conflict, NotFound
from eudai_core.model import MigrationSource
from eudai_sql.history import CORE, read_history
from eudai_sql.storage import open_storage
from eudai_sql.url import parse_url
from support.killed_carrier import kill_in_the_middle
from support.portable import BOTH, NewUrl, Open, contents_of, fill, fill_odd
from support.sql_rows import Rows


@dataclass(frozen=True, slots=True)
class Made:
    """A backup, and what was in the database and in the blob store."""

    path: Path
    contents: dict[str, list[str]]
    bodies: dict[str, bytes]


@pytest.fixture
async def made(sqlite_url: str, tmp_path: Path) -> Made:
    storage = open_storage(sqlite_url)
    rows = await fill(storage)
    bodies = await store_bodies(rows, LocalBlobStore(tmp_path / "source"))
    report = await make_backup(storage, LocalBlobStore(tmp_path / "source"), tmp_path / "a.zip", SystemClock())
    contents = await contents_of(storage)
    await storage.aclose()
    return Made(report.path, contents, bodies)


async def store_bodies(rows: Rows, blobs: LocalBlobStore) -> dict[str, bytes]:
    """Store what fill() named."""
    bodies: dict[str, bytes] = {}
    for body in (b"", b"\x00\xff\n\\x", bytes(range(256)) * 1000):
        file = await rows.add_file("more.bin", body)
        bodies[file.current.blob_key] = body

    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        yield body

    for key, body in bodies.items():
        await blobs.put(key, pieces(body))
    return bodies


async def everything(root: Path) -> set[Path]:
    return await asyncio.to_thread(lambda: set(root.rglob("*")))


async def body_of(blobs: LocalBlobStore, key: str) -> bytes:
    return b"".join([piece async for piece in blobs.read(key)])


@pytest.mark.parametrize("kind", BOTH)
async def test_everything_is_there_again(kind: str, made: Made, new_url: NewUrl, opened: Open, tmp_path: Path) -> None:
    url, blobs = new_url(kind), LocalBlobStore(tmp_path / "target")
    storage = opened(url)
    report = await restore_backup(made.path, storage, blobs, ())
    assert await contents_of(storage) == made.contents
    assert {key: await body_of(blobs, key) for key in made.bodies} == made.bodies
    assert {name: table.rows for name, table in report.tables.items()} == {
        name: len(lines) for name, lines in made.contents.items()
    }
    with pytest.raises(Conflict, match="not empty"):
        await restore_backup(made.path, storage, blobs, ())
    assert (await storage.health()).detail == ""


@pytest.mark.parametrize("kind", BOTH)
async def test_a_dry_run_touches_nothing(kind: str, made: Made, new_url: NewUrl, opened: Open, tmp_path: Path) -> None:
    storage, target = opened(new_url(kind)), LocalBlobStore(tmp_path / "target")
    before = await everything(tmp_path)
    report = await restore_backup(made.path, storage, target, (), dry_run=True)
    assert (report.manifest.rows, report.tables) == (sum(map(len, made.contents.values())), {})
    assert await everything(tmp_path) == before
    assert await storage.migrate((), dry_run=True)  # still without tables


@pytest.mark.parametrize("kind", BOTH)
async def test_a_damaged_backup_touches_nothing(
    kind: str, made: Made, new_url: NewUrl, opened: Open, tmp_path: Path
) -> None:
    storage, blobs = opened(new_url(kind)), LocalBlobStore(tmp_path / "target")
    with zipfile.ZipFile(made.path) as file:
        info = max(file.infolist(), key=lambda member: member.compress_size)
    whole = made.path.read_bytes()
    place = info.header_offset + info.compress_size // 2
    made.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    before = await everything(tmp_path)
    with pytest.raises(BadFile, match="Nothing was changed"):
        await restore_backup(made.path, storage, blobs, ())
    assert await everything(tmp_path) == before
    assert await storage.migrate((), dry_run=True)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(("stage", "step"), [("Files", 2), ("Rows", 3), ("Comparing", 0), ("Comparing", 5)])
async def test_killed_in_the_middle_it_is_done_again(
    kind: str, stage: str, step: int, made: Made, new_url: NewUrl, opened: Open, tmp_path: Path
) -> None:
    url, target = new_url(kind), tmp_path / "target"
    arguments = ("restore", str(made.path), url, str(target), stage, str(step))
    await kill_in_the_middle(*arguments)
    storage, blobs = opened(url), LocalBlobStore(target)
    assert await storage.portable().contents() == {}
    await restore_backup(made.path, storage, blobs, ())
    assert await contents_of(storage) == made.contents
    assert {key: await body_of(blobs, key) for key in made.bodies} == made.bodies


async def test_a_backup_of_an_older_version_is_brought_up_to_date(
    new_url: NewUrl, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, target = opened(new_url("sqlite")), opened(new_url("postgres"))
    revisions = read_history(CORE).revisions
    await old.portable().prepare((), {"core": revisions[-2]})
    report = await make_backup(old, None, tmp_path / "old.zip", SystemClock())
    assert report.manifest.revisions == {"core": revisions[-2]}
    await target.migrate(())  # a target that is newer than the backup, and empty
    restored = await restore_backup(report.path, target, None, ())
    assert restored.applied == [f"core:{revisions[-1]}"]
    assert (await target.health()).detail == ""


async def test_a_backup_of_a_newer_version_is_refused(made: Made, new_url: NewUrl, opened: Open) -> None:
    with zipfile.ZipFile(made.path) as file:
        members = {info.filename: (file.read(info), info.compress_type) for info in file.infolist()}
    told = json.loads(members["manifest.json"][0]) | {"revisions": {"core": "9999"}}
    members["manifest.json"] = (json.dumps(told).encode(), zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(made.path, "w") as file:
        for name, (data, compression) in members.items():
            file.writestr(name, data, compression)
    url = new_url("sqlite")
    with pytest.raises(ConfigError, match="newer version"):
        await restore_backup(made.path, opened(url), LocalBlobStore(made.path.parent / "target"), ())
    assert not parse_url(url).path.exists()


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, bytes]], object]) -> None:
    """Write the archive again as a whole one with other contents."""
    with zipfile.ZipFile(path) as file:
        members = {info.filename: file.read(info) for info in file.infolist()}
    told = json.loads(members.pop("manifest.json"))
    change(told, members)
    members["manifest.json"] = json.dumps(told).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            kind = zipfile.ZIP_STORED if name.startswith("blobs/") else zipfile.ZIP_DEFLATED
            file.writestr(name, data, kind)


@pytest.mark.parametrize("kind", BOTH)
async def test_a_backup_without_one_of_the_tables_is_refused(
    kind: str, made: Made, new_url: NewUrl, opened: Open, tmp_path: Path
) -> None:
    def change(told: dict[str, Any], members: dict[str, bytes]) -> None:
        del told["tables"]["search_removed"]
        del members["tables/search_removed.jsonl"]

    rewrite(made.path, change)
    storage, blobs = opened(new_url(kind)), LocalBlobStore(tmp_path / "target")
    with pytest.raises(BadFile, match="search_removed is missing") as refused:
        await restore_backup(made.path, storage, blobs, ())
    assert "Nothing was changed" not in refused.value.detail  # there are tables now
    assert await storage.portable().contents() == {}
    assert not (tmp_path / "target").exists()


async def test_a_backup_without_one_of_the_columns_is_refused(made: Made, new_url: NewUrl, opened: Open) -> None:
    def change(told: dict[str, Any], members: dict[str, bytes]) -> None:
        table = told["tables"]["sessions"]
        place = table["columns"].index("revoked_at")
        del table["columns"][place]
        rows = [json.loads(line) for line in members["tables/sessions.jsonl"].splitlines()]
        for row in rows:
            del row[place]
        body = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        members["tables/sessions.jsonl"] = body
        table.update(size=len(body), sha256=hashlib.sha256(body).hexdigest())

    rewrite(made.path, change)
    with pytest.raises(BadFile, match="sessions has no column revoked_at"):
        await restore_backup(made.path, opened(new_url("sqlite")), LocalBlobStore(made.path.parent / "target"), ())


async def test_a_row_that_is_none_is_told_without_a_promise(
    made: Made, new_url: NewUrl, opened: Open, tmp_path: Path
) -> None:
    """Files were put into the blob store by then."""

    def change(told: dict[str, Any], members: dict[str, bytes]) -> None:
        body = b"{}\n"
        members["tables/users.jsonl"] = body
        told["tables"]["users"].update(rows=1, size=len(body), sha256=hashlib.sha256(body).hexdigest())

    rewrite(made.path, change)
    storage = opened(new_url("sqlite"))
    with pytest.raises(BadFile, match=r"the table users .* No row was restored") as refused:
        await restore_backup(made.path, storage, LocalBlobStore(tmp_path / "target"), ())
    assert "Nothing was changed" not in refused.value.detail
    assert await storage.portable().contents() == {}


async def test_tables_of_a_plugin_that_is_not_installed(
    new_url: NewUrl, opened: Open, odd: MigrationSource, tmp_path: Path
) -> None:
    url = new_url("sqlite")
    source = opened(url)
    await source.migrate([odd])
    await fill_odd(url)
    path = (await make_backup(source, None, tmp_path / "a.zip", SystemClock())).path
    target = opened(new_url("sqlite"))
    with pytest.raises(ConfigError, match=r"tables of odd.*--leave-out-unknown"):
        await restore_backup(path, target, None, ())
    report = await restore_backup(path, target, None, (), leave_out=True)
    assert report.left_out == ["p_odd_loose", "p_odd_values"]
    assert "p_odd_values" not in await contents_of(target)

    whole = opened(new_url("postgres"))
    await restore_backup(path, whole, None, [odd])
    assert await contents_of(whole) == await contents_of(source)


async def test_a_backup_with_files_needs_a_blob_store(made: Made, new_url: NewUrl, opened: Open) -> None:
    with pytest.raises(ConfigError, match="blob store"):
        await restore_backup(made.path, opened(new_url("sqlite")), None, ())


async def test_a_backup_without_files_brings_none(
    sqlite_url: str, new_url: NewUrl, opened: Open, tmp_path: Path
) -> None:
    source, target = opened(sqlite_url), opened(new_url("sqlite"))
    await fill(source)
    path = (await make_backup(source, None, tmp_path / "a.zip", SystemClock())).path
    blobs = LocalBlobStore(tmp_path / "target")
    await restore_backup(path, target, blobs, ())
    assert await contents_of(target) == await contents_of(source)
    with pytest.raises(NotFound):
        await body_of(blobs, "blob/any")


async def test_a_server_that_is_connected_is_in_the_way(
    made: Made, postgres_url: str, opened: Open, tmp_path: Path
) -> None:
    server = opened(postgres_url)
    async with server.unit_of_work(readonly=True) as unit:
        await unit.plugin_states.latest()
        with pytest.raises(Conflict, match="server uses"):
            await restore_backup(made.path, opened(postgres_url), LocalBlobStore(tmp_path / "target"), ())
