"""The local blob store: all or nothing, whatever happens."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path

import pytest

from eudai_content import disk
from eudai_content.blobs import PIECE, LocalBlobStore, local_blob_store
from eudai_core.contracts import BlobStore
from eudai_core.errors import InvalidInput, NotFound, StorageUnavailable
from eudai_core.settings import CoreSettings
from support.contexts import SimpleContext

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file modes and limits of POSIX")


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def everything(store: LocalBlobStore, key: str, *, start: int = 0, length: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.read(key, start=start, length=length)])


def left_behind(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def modes(root: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*"))}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def store(root: Path) -> LocalBlobStore:
    return LocalBlobStore(root)


def test_it_keeps_the_contract(store: LocalBlobStore) -> None:
    assert isinstance(store, BlobStore)


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7])
async def test_bytes_come_back_as_they_went_in(store: LocalBlobStore, root: Path, size: int) -> None:
    data = os.urandom(size)
    info = await store.put("ab/one", pieces(*(data[at : at + 1000] for at in range(0, size, 1000))))
    assert (info.key, info.size, info.sha256) == ("ab/one", size, hashlib.sha256(data).hexdigest())
    assert await everything(store, "ab/one") == data
    assert left_behind(root) == ["files/ab/one"]


async def test_one_large_chunk_is_taken(store: LocalBlobStore) -> None:
    data = os.urandom(5 * PIECE)
    await store.put("one", pieces(data))
    assert await everything(store, "one") == data


@pytest.mark.parametrize(
    ("start", "length"), [(0, 0), (0, 5), (3, None), (3, 4), (9, 100), (10, None), (11, 5), (10**15, None)]
)
async def test_ranges(store: LocalBlobStore, start: int, length: int | None) -> None:
    data = b"0123456789"
    await store.put("digits", pieces(data))
    assert (
        await everything(store, "digits", start=start, length=length)
        == data[start : None if length is None else start + length]
    )


@pytest.mark.parametrize(("start", "length"), [(-1, None), (0, -1)])
async def test_a_negative_range_is_refused(store: LocalBlobStore, start: int, length: int) -> None:
    await store.put("digits", pieces(b"0123456789"))
    with pytest.raises(InvalidInput):
        await everything(store, "digits", start=start, length=length)


HOSTILE_KEYS = ["", "/", "/etc/passwd", "../secret", "a/../b", "a/./b", ".", "a//b", "a/", "a\\b", "a\0b", "ä", "a b"]


@pytest.mark.parametrize("key", [*HOSTILE_KEYS, "x" * 201, "a\n", "a.b", "C:", "~"])
async def test_keys_that_are_none_are_refused_everywhere(store: LocalBlobStore, root: Path, key: str) -> None:
    with pytest.raises(InvalidInput):
        await store.put(key, pieces(b"x"))
    with pytest.raises(InvalidInput):
        await everything(store, key)
    with pytest.raises(InvalidInput):
        await store.delete(key)
    assert left_behind(root) == []


@pytest.mark.parametrize("key", ["missing", "missing/deeper", "there/below-a-file", "folder"])
async def test_a_blob_that_is_not_there(store: LocalBlobStore, key: str) -> None:
    await store.put("there", pieces(b"x"))
    await store.put("folder/inside", pieces(b"x"))
    with pytest.raises(NotFound):
        await everything(store, key)
    with pytest.raises(NotFound):
        await everything(store, key, length=0)


async def test_delete_may_be_repeated(store: LocalBlobStore, root: Path) -> None:
    await store.put("one", pieces(b"x"))
    await store.delete("one")
    await store.delete("one")
    await store.delete("never/was")
    assert left_behind(root) == []


async def test_a_key_put_again_names_the_new_bytes(store: LocalBlobStore) -> None:
    await store.put("one", pieces(b"old and longer"))
    await store.put("one", pieces(b"new"))
    assert await everything(store, "one") == b"new"


async def test_nobody_else_can_read_them(store: LocalBlobStore, root: Path) -> None:
    await store.put("ab/one", pieces(b"x"))
    assert modes(root) == {0o700, 0o600}


async def test_an_upload_that_breaks_off_leaves_nothing_and_its_error_passes(store: LocalBlobStore, root: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (2 * PIECE)
        raise ConnectionResetError("the client left")

    with pytest.raises(ConnectionResetError, match="the client left"):
        await store.put("one", broken())
    assert left_behind(root) == []


async def test_a_cancelled_upload_leaves_nothing(store: LocalBlobStore, root: Path) -> None:
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * (2 * PIECE)
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.put("one", endless()))
    await waiting.wait()
    assert len(left_behind(root)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_behind(root) == []


@pytest.mark.parametrize("step", ["open", "write", "publish"])
async def test_cancelled_inside_a_step_of_the_disk_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    original = getattr(disk.Writer, step)

    def slow(writer: disk.Writer, *args: object) -> None:
        original(writer, *args)
        entered.set()
        go_on.wait(10)

    monkeypatch.setattr(disk.Writer, step, slow)
    task = asyncio.create_task(LocalBlobStore(root).put("one", pieces(b"x")))
    await asyncio.to_thread(entered.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # impatience changes nothing
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_behind(root) == []


@pytest.mark.parametrize(
    ("error", "told"),
    [(errno.ENOSPC, "full"), (errno.EDQUOT, "full"), (errno.EIO, "properly"), (errno.EROFS, "properly")],
)
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
async def test_a_disk_that_fails_leaves_nothing(
    store: LocalBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int, told: str
) -> None:
    calls = 0

    def failing(*args: object) -> int:
        nonlocal calls
        calls += 1
        raise OSError(error, os.strerror(error), "/secret/path")

    await store.put("before", pieces(b"x"))
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(StorageUnavailable, match=told) as caught:
            await store.put("one", pieces(b"x" * PIECE, b"y"))
    assert "/secret" not in caught.value.detail
    assert calls == 1  # an fsync that failed is not asked again
    assert left_behind(root) == ["files/before"]
    assert await everything(store, "before") == b"x"


async def test_a_name_that_is_not_durable_is_taken_back(
    store: LocalBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put("before", pieces(b"x"))

    def failing(path: Path) -> None:
        raise OSError(errno.EIO, "the directory cannot be flushed")

    monkeypatch.setattr(disk, "_sync_directory", failing)
    with pytest.raises(StorageUnavailable):
        await store.put("one", pieces(b"y"))
    assert left_behind(root) == ["files/before"]


async def test_a_read_that_fails_says_so(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.put("one", pieces(b"x"))

    def failing(reader: disk.Reader, size: int) -> bytes:
        raise OSError(errno.EIO, "bad sector")

    monkeypatch.setattr(disk.Reader, "read", failing)
    with pytest.raises(StorageUnavailable):
        await everything(store, "one")


async def test_the_bytes_are_on_the_disk_before_the_name_is(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(descriptor: int) -> None:
        done.append("fsync " + ("folder" if os.path.isdir(f"/dev/fd/{descriptor}") else "file"))
        fsync(descriptor)

    def noting_replace(old: Path, new: Path) -> None:
        done.append("rename")
        replace(old, new)

    await store.put("ab/before", pieces(b"x"))
    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    await store.put("ab/one", pieces(b"x"))
    assert done == ["fsync file", "rename", "fsync folder"]


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from eudai_content.blobs import LocalBlobStore
from eudai_core.errors import StorageUnavailable

async def megabyte():
    for _ in range(16):
        yield b"x" * 65536

async def main():
    store = LocalBlobStore(Path(sys.argv[1]))
    try:
        await store.put("big", megabyte())
    except StorageUnavailable as error:
        print(error.detail)

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
asyncio.run(main())
"""


def test_a_real_limit_of_the_system(root: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(root)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert "is full" in result.stdout
    assert left_behind(root) == []


UPLOADS = """
import asyncio, sys
from pathlib import Path
from eudai_content.blobs import LocalBlobStore

async def chunks():
    for _ in range(8):
        yield b"x" * 65536

async def main():
    store = LocalBlobStore(Path(sys.argv[1]))
    async def upload(number):
        await store.put(f"n/{number}", chunks())
        print(number, flush=True)
    await asyncio.gather(*(upload(n) for n in range(100)))

asyncio.run(main())
"""


def killed_while_uploading(root: Path) -> list[int]:
    """Kill a process in the middle of a hundred uploads; return those that it said were done."""
    child = subprocess.Popen([sys.executable, "-c", UPLOADS, str(root)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout:
        acknowledged = [int(child.stdout.readline()) for _ in range(10)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
    child.wait()
    return acknowledged


async def test_kill_9_during_uploads_leaves_whole_blobs_and_what_the_next_start_sweeps(root: Path) -> None:
    acknowledged = await asyncio.to_thread(killed_while_uploading, root)
    store = LocalBlobStore(root)
    for number in acknowledged:
        assert len(await everything(store, f"n/{number}")) == 8 * 65536
    whole = [name for name in left_behind(root) if name.startswith("files/")]
    assert all((root / name).stat().st_size == 8 * 65536 for name in whole)
    _age(root / "tmp", hours=2)
    await store.sweep()
    assert left_behind(root) == whole


def _age(folder: Path, *, hours: float) -> None:
    moment = time.time() - hours * 3600
    for path in folder.iterdir():
        os.utime(path, (moment, moment))


async def test_the_sweep_leaves_uploads_of_others_alone(tmp_path: Path) -> None:
    temporary = tmp_path / "data" / "blobs" / "tmp"
    temporary.mkdir(parents=True)
    (temporary / "old").write_bytes(b"x")
    _age(temporary, hours=1.1)
    (temporary / "young").write_bytes(b"x")
    store = await local_blob_store(SimpleContext(CoreSettings(data_dir=tmp_path / "data")))
    assert [path.name for path in temporary.iterdir()] == ["young"]
    await store.put("one", pieces(b"x"))
    assert (tmp_path / "data" / "blobs" / "files" / "one").read_bytes() == b"x"
    await store.aclose()


async def test_a_start_goes_on_when_sweeping_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(directory: Path, age: float) -> int:
        raise PermissionError("no")

    monkeypatch.setattr(disk, "sweep", failing)
    store = await local_blob_store(SimpleContext(CoreSettings(data_dir=tmp_path)))
    assert (await store.put("one", pieces(b"x"))).size == 1


async def test_memory_stays_flat(store: LocalBlobStore) -> None:
    async def sixteen_megabytes() -> AsyncIterator[bytes]:
        for _ in range(256):
            yield bytes(65536)

    tracemalloc.start()
    try:
        await store.put("big", sixteen_megabytes())
        async for _ in store.read("big"):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 1024 * 1024


async def test_a_reader_that_stops_early_closes_the_file(store: LocalBlobStore) -> None:
    await store.put("big", pieces(bytes(4 * PIECE)))
    reading = store.read("big")
    assert isinstance(reading, AsyncGenerator)
    assert len(await anext(reading)) == PIECE
    assert any(_open_files("big"))
    await reading.aclose()
    assert not any(_open_files("big"))


def _open_files(name: str) -> Iterator[str]:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("needs /proc")
    for entry in folder.iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.endswith("/" + name):
            yield target
