"""Blocking work on files, one step a call; everything here runs in threads and raises OSError."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

__all__ = ["Reader", "Writer", "remove", "sweep"]

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_CAN_SYNC_DIRECTORIES: Final = os.name == "posix"


class Writer:
    """A file in the making: opened, written, then published under its name or discarded."""

    def __init__(self, path: Path) -> None:
        """Write to ``path``, which must not exist."""
        self._path = path
        self._file: int | None = None
        self._published: Path | None = None
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """The hash of what has been written, in hex."""
        return self._hash.hexdigest()

    def open(self) -> None:
        """Create the file, readable for this user alone."""
        _make_directory(self._path.parent)
        self._file = os.open(self._path, _CREATE, 0o600)

    def write(self, piece: bytes) -> None:
        """Append all of ``piece``."""
        self._hash.update(piece)
        self.size += len(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._descriptor(), rest) :]

    def publish(self, target: Path) -> None:
        """Flush the file to the disk and give it its name, for good."""
        os.fsync(self._descriptor())
        self._close()
        _make_directory(target.parent)
        taken = target.exists()
        os.replace(self._path, target)
        # From here on a failure or a cancellation has to take the name back, unless others knew it before.
        self._published = None if taken else target
        _sync_directory(target.parent)

    def discard(self) -> None:
        """Remove every trace; errors are passed over, because the one that led here tells more."""
        with suppress(OSError):
            self._close()
        for path in (self._path, self._published):
            with suppress(OSError):
                if path is not None:
                    path.unlink(missing_ok=True)

    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError("the file is not open")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            descriptor, self._file = self._file, None
            os.close(descriptor)


class Reader:
    """A range of a file, opened by the first read."""

    def __init__(self, path: Path, start: int, length: int | None) -> None:
        """Read ``length`` bytes (None: all) from ``start`` on."""
        self._path = path
        self._start = start
        self._left = length
        self._file: FileIO | None = None

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end of the range."""
        if self._file is None:
            self._file = FileIO(self._path)
            # No further than the end: the number may be larger than the system can seek to.
            self._file.seek(min(self._start, os.fstat(self._file.fileno()).st_size))
        data = self._file.read(size if self._left is None else min(size, self._left)) or b""
        if self._left is not None:
            self._left -= len(data)
        return data

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


def remove(path: Path) -> None:
    """Remove a file that may be there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()


def sweep(directory: Path, age: float) -> int:
    """Remove the directory's files that were last written more than ``age`` seconds ago; return how many."""
    limit = time.time() - age
    removed = 0
    for path in directory.iterdir() if directory.is_dir() else ():
        with suppress(FileNotFoundError):  # another process sweeps too, or its upload ended
            if path.stat().st_mtime < limit:
                path.unlink()
                removed += 1
    return removed


def _make_directory(path: Path) -> None:
    """Make a directory with its parents, each name durable before something is put below it."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    with suppress(FileExistsError):
        path.mkdir(0o700)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    if not _CAN_SYNC_DIRECTORIES:
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
