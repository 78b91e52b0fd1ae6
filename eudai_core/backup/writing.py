"""Writing a backup, one step a call; everything here blocks and belongs into threads.

A backup is a zip file (APPNOTE 6.3.10 with Zip64): tables as deflated lines of JSON, files stored as they are, and
``manifest.json`` last. It is written under another name, private to its user, and gets its own when it is on the disk.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from eudai_core.backup.lines import line_of
from eudai_core.backup.manifest import BlobEntry, Manifest, TableEntry, blob_member, manifest_limit, table_member
from eudai_core.contracts import Row, TableShape
from eudai_core.errors import ConfigError, Conflict

__all__ = ["MANIFEST", "ArchiveWriter", "name_taken"]

MANIFEST: Final = "manifest.json"
_LEVEL: Final = 3
"""Of deflate: half as large again as the best, and three times as fast."""
_STALE_SECONDS: Final = 3600.0
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class ArchiveWriter:
    """One backup in the making. Raises OSError."""

    def __init__(self, path: Path) -> None:
        """Make the file beside ``path``."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_stale(path.parent)
        self.path = path
        # Of its own name: another process may be making a backup of another database under the same one.
        self._draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
        self._file = os.fdopen(os.open(self._draft, _CREATE, 0o600), "w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self._member: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._size = self._rows = 0

    def begin_table(self, name: str) -> None:
        """Begin the member of a table."""
        self._begin(table_member(name), zipfile.ZIP_DEFLATED)

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Add rows to the member that was begun."""
        self._add(b"".join(map(line_of, rows)))
        self._rows += len(rows)

    def end_table(self, table: TableShape) -> TableEntry:
        """End the member."""
        rows = self._rows
        self._end()
        return TableEntry(table.columns, rows, self._size, self._hash.hexdigest())

    def begin_blob(self, key: str) -> None:
        """Begin the member of a blob."""
        self._begin(blob_member(key), zipfile.ZIP_STORED)

    def add(self, piece: bytes) -> None:
        """Add bytes to the member that was begun."""
        self._add(piece)

    def end_blob(self, key: str) -> BlobEntry:
        """End the member."""
        self._end()
        return BlobEntry(key, self._size, self._hash.hexdigest())

    def publish(self, manifest: Manifest) -> int:
        """Write the manifest, flush everything to the disk, give the file its name, and return its size.

        Raises:
            ConfigError: the manifest is longer than any that is read.
            Conflict: the name was taken meanwhile.
        """
        told = manifest.to_json()
        if len(told) > manifest_limit(len(self._zip.infolist())):
            raise ConfigError("The list of what the backup holds is too long: too many files are missing or damaged.")
        self._begin(MANIFEST, zipfile.ZIP_DEFLATED)
        self._add(told)
        self._end()
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        _give_name(self._draft, self.path)
        _sync_directory(self.path.parent)
        return size

    def discard(self) -> None:
        """Leave nothing; errors are passed over, because the one that led here tells more."""
        for close in (self._end, self._zip.close, self._file.close):
            with suppress(OSError, ValueError):
                close()
        self._zip.fp = None  # so that it does not try to end once more when it is forgotten
        with suppress(OSError):
            self._draft.unlink(missing_ok=True)

    def _begin(self, member: str, compression: int) -> None:
        self._zip.compression = compression
        self._member = self._zip.open(member, "w", force_zip64=True)
        self._hash = hashlib.sha256()
        self._size = self._rows = 0

    def _add(self, data: bytes) -> None:
        if self._member is None:
            raise ValueError("no member was begun")
        self._hash.update(data)
        self._size += len(data)
        self._member.write(data)

    def _end(self) -> None:
        if self._member is not None:
            member, self._member = self._member, None
            member.close()


def name_taken(path: Path) -> Conflict:
    """Return what to say when there is a file already."""
    return Conflict(f"There is a file {path}: give the backup another name.")


def _remove_stale(directory: Path) -> None:
    """Remove drafts under our own names that nobody has written to for long: their processes were killed."""
    limit = time.time() - _STALE_SECONDS
    for draft in directory.glob("eudai-*.zip.*.partial"):
        with suppress(OSError):
            if draft.stat().st_mtime < limit:
                draft.unlink()


def _give_name(draft: Path, path: Path) -> None:
    """Rename without replacing."""
    try:
        os.link(draft, path)
    except FileExistsError as error:
        raise name_taken(path) from error
    except OSError:  # a file system without hard links
        if path.exists():
            raise name_taken(path) from None
        draft.replace(path)
    else:
        with suppress(OSError):
            draft.unlink()


def _sync_directory(path: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
