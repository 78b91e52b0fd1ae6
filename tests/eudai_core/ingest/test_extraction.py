"""Extraction in child processes that misbehave."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from eudai_core.errors import BadFile, Unavailable
from eudai_core.ingest import child
from eudai_core.ingest.extraction import ExtractionLimits, extract
from eudai_core.model import Block
from support import hostile_extractors

LIMITS = ExtractionLimits(seconds=20.0)
HOSTILE = "support.hostile_extractors:"
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits that Linux enforces")
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "document"
    made.write_bytes(b"some bytes")
    return made


@pytest.fixture
def life(path: Path) -> Path:
    """A pipe that extractors and their children hold open as long as they live."""
    pipe = path.with_name("life")
    os.mkfifo(pipe)
    return pipe


async def test_blocks_come_with_their_places(path: Path) -> None:
    blocks = await extract(HOSTILE + "well", path, LIMITS)
    assert blocks == [Block("first", page=1, heading="One"), Block("second", page=2, heading="Two")]


async def test_what_a_parser_prints_is_no_output(path: Path) -> None:
    assert await extract(HOSTILE + "noisy", path, LIMITS) == [Block("text")]


async def test_a_child_learns_no_secret(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EUDAI_SECRET_KEY", "s" * 40)
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:password@host/db")
    names = {block.text for block in await extract(HOSTILE + "environment", path, LIMITS)}
    assert "PYTHONPATH" in names
    assert not {name for name in names if "EUDAI" in name or "DATABASE" in name or "HOME" in name}


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("bad_file", "locked with a password"),
        ("raises", r"damaged \(ValueError\)"),
        ("recursive", r"damaged \(RecursionError\)"),
        ("wrong_type", "makes no sense"),
        ("wrong_line", "makes no sense"),
        ("no_blocks", "damaged"),
        ("missing_function", "AttributeError"),
    ],
)
async def test_a_file_that_cannot_be_read_says_why(path: Path, function: str, told: str) -> None:
    with pytest.raises(BadFile, match=told) as caught:
        await extract(HOSTILE + function, path, LIMITS)
    assert str(path) not in caught.value.detail


async def test_a_module_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(BadFile, match="ModuleNotFoundError"):
        await extract("no_such_module:read", path, LIMITS)


@posix
@pytest.mark.parametrize("function", ["hangs", "spins"])
async def test_a_hang_is_killed(path: Path, function: str) -> None:
    started = time.monotonic()
    with pytest.raises(BadFile, match="more than the 1 seconds"):
        await extract(HOSTILE + function, path, replace(LIMITS, seconds=1.0))
    assert time.monotonic() - started < 5


@posix
async def test_what_the_child_started_is_killed_with_it(path: Path, life: Path) -> None:
    reading = asyncio.create_task(asyncio.to_thread(life.read_bytes))
    with pytest.raises(BadFile):
        await extract(HOSTILE + "hangs_with_a_child", path, replace(LIMITS, seconds=3.0))
    assert await reading == b"ready"  # and then the end: nobody is left


@linux
async def test_a_memory_bomb_is_told(path: Path) -> None:
    with pytest.raises(BadFile, match="more memory"):
        await extract(HOSTILE + "eats_memory", path, replace(LIMITS, memory=256 << 20))


async def test_a_flood_is_killed(path: Path) -> None:
    with pytest.raises(BadFile, match="more text than the 2 MB"):
        await extract(HOSTILE + "floods", path, replace(LIMITS, output=2 << 20))


@linux
async def test_a_bomb_on_the_disk_is_bounded(path: Path) -> None:
    with pytest.raises(BadFile, match="OSError"):
        await extract(HOSTILE + "writes_files", path, replace(LIMITS, memory=200 << 20))
    assert await asyncio.to_thread(lambda: path.with_name("bomb").stat().st_size) <= 200 << 20


@posix
async def test_a_crash_is_the_files_fault(path: Path) -> None:
    with pytest.raises(BadFile, match="crashed"):
        await extract(HOSTILE + "crashes", path, LIMITS)


@posix
async def test_a_kill_from_outside_is_not(path: Path) -> None:
    with pytest.raises(Unavailable, match="from outside"):
        await extract(HOSTILE + "killed", path, LIMITS)


@pytest.mark.parametrize("function", ["leaves", "stops"])
async def test_output_that_breaks_off_is_not_taken_for_whole(path: Path, function: str) -> None:
    with pytest.raises(Unavailable, match="did not work"):
        await extract(HOSTILE + function, path, LIMITS)


@posix
async def test_cancelling_kills_the_child(path: Path, life: Path) -> None:
    task = asyncio.create_task(extract(HOSTILE + "hangs_with_a_child", path, LIMITS))
    pipe = await asyncio.to_thread(life.open, "rb")
    with pipe:
        assert await asyncio.to_thread(pipe.read, 5) == b"ready"
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # impatience changes nothing
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(pipe.read) == b""


async def test_a_python_that_does_not_start_is_no_fault_of_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(path.with_name("no-python")))
    with pytest.raises(Unavailable, match="could not be started"):
        await extract(HOSTILE + "well", path, LIMITS)


async def test_the_loop_goes_on_while_much_text_arrives(path: Path) -> None:
    big = path.with_name("big.txt")
    await asyncio.to_thread(big.write_text, "a line of text with words\n" * 500_000)
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.002)
            longest = max(longest, time.perf_counter() - before)

    watcher = asyncio.create_task(watch())
    blocks = await extract("eudai_content.text:read", big, LIMITS)
    watcher.cancel()
    assert sum(len(block.text) for block in blocks) == 13_000_000
    assert longest < 0.5  # parsing took place in a thread; a loaded machine adds the rest


def test_the_child_reports_lines(path: Path) -> None:
    out = io.BytesIO()
    child.report(HOSTILE + "well", str(path), out)
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"text": "first", "page": 1, "heading": "One"},
        {"text": "second", "page": 2, "heading": "Two"},
        {"end": True},
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [(MemoryError(), "more memory"), (BadFile("reason"), "reason"), (KeyError("x"), r"damaged")],
)
def test_the_child_reports_errors(path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    def failing(name: str) -> None:
        raise error

    monkeypatch.setattr(hostile_extractors, "well", failing)
    out = io.BytesIO()
    child.report(HOSTILE + "well", str(path), out)
    (line,) = out.getvalue().splitlines()
    assert told in json.loads(line)["error"]


def test_the_child_does_not_write_to_a_parent_that_is_gone(path: Path) -> None:
    class Gone(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        child.report(HOSTILE + "well", str(path), Gone())
