"""Extractor functions that misbehave in every way, for a child process to run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eudai_core.errors import BadFile
from eudai_core.model import Block

__all__: list[str] = []


def well(path: str) -> Iterator[Block]:
    yield Block("first", page=1, heading="One")
    yield Block("second", page=2, heading="Two")


def noisy(path: str) -> Iterator[Block]:
    sys.stdout.write("a parser's banner\n")
    os.write(1, b'{"end": true}\n')
    yield Block("text")
    sys.stdout.write("done\n")
    sys.stdout.flush()


def environment(path: str) -> Iterator[Block]:
    for name in sorted(os.environ):
        yield Block(name)


def bad_file(path: str) -> Iterator[Block]:
    yield Block("a beginning")
    raise BadFile("The file is locked with a password.")


def raises(path: str) -> Iterator[Block]:
    yield Block("a beginning")
    raise ValueError("internal details of " + path)


def recursive(path: str) -> Iterator[Block]:
    return recursive(path)


def hangs(path: str) -> Iterator[Block]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield Block("a beginning")
    while True:
        signal.pause()


def spins(path: str) -> Iterator[Block]:
    while True:
        pass
    yield Block("never")


def hangs_with_a_child(path: str) -> Iterator[Block]:
    """Start a process that holds the pipe ``life`` beside the file open: who reads it learns when all are dead."""
    with Path(path).with_name("life").open("wb") as life:
        life.write(b"ready")
        life.flush()
        subprocess.run([sys.executable, "-c", "import signal; signal.pause()"], stdout=life, check=False)
    yield Block("never")


def eats_memory(path: str) -> Iterator[Block]:
    hoard = []
    while True:
        hoard.append(bytearray(16 << 20))
    yield Block("never")


def floods(path: str) -> Iterator[Block]:
    while True:
        yield Block("x" * 65536)


def crashes(path: str) -> Iterator[Block]:
    yield Block("a beginning")
    os.abort()


def killed(path: str) -> Iterator[Block]:
    yield Block("a beginning")
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(path: str) -> Iterator[Block]:
    yield Block("a beginning")
    os._exit(0)


def stops(path: str) -> Iterator[Block]:
    yield Block("a beginning")
    sys.exit("no more")


def wrong_type(path: str) -> Iterator[Any]:
    yield Block(text=12)  # type: ignore[arg-type]  # that is the point


def wrong_line(path: str) -> Iterator[Any]:
    yield Block("text", line=-1)


def no_blocks(path: str) -> Iterator[Any]:
    yield "just text"


def far_line(path: str) -> Iterator[Block]:
    yield Block("first", line=1)
    yield Block("last", line=10**15)


def unusable(path: str) -> Iterator[Block]:
    yield Block("nul \0, surrogate \ud800, returns\r\nand\rmore", heading="\udfff\0")


def writes_files(path: str) -> Iterator[Block]:
    with Path(path).with_name("bomb").open("wb") as file:
        while True:
            file.write(bytes(1 << 20))
    yield Block("never")


def slow(path: str) -> Iterator[Block]:
    """Say by a pipe that it began, and wait at another for leave to go on."""
    folder = Path(path).parents[1]
    (folder / "began").write_bytes(b"x")
    (folder / "go").read_bytes()
    yield Block("text at last")
