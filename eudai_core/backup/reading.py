"""Reading a backup that nobody vouches for; everything here blocks and belongs into threads.

No member is ever unpacked to a path, and none is held in memory as a whole: tables are read line by line, files in
pieces, and both against what the manifest says of them.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from eudai_core.backup.lines import LINE_LIMIT, row_of
from eudai_core.backup.manifest import BlobEntry, Manifest, blob_member, damaged, manifest_limit, table_member
from eudai_core.backup.progress import Progress
from eudai_core.backup.writing import MANIFEST
from eudai_core.errors import BadFile

__all__ = ["ArchiveReader"]

_PIECE: Final = 1 << 20
_ENCRYPTED: Final = 0x1
# What zipfile and zlib raise for files that are no zip files, or damaged, or use what nobody here writes.
_DAMAGES: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class ArchiveReader:
    """An open backup; close it."""

    def __init__(self, path: Path) -> None:
        """Open it and read its manifest.

        Raises:
            BadFile: it is no backup, or of a newer format, or its members are not those of the manifest.
        """
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise BadFile(f"The backup {path} cannot be read: {error.strerror}.") from error
        except _DAMAGES as error:
            raise damaged("it is no zip file, or its end is missing") from error
        try:
            with _told_as_damage():
                self.manifest = self._read_manifest()
                self._check_members()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()

    def verify(self, progress: Progress) -> None:
        """Read everything and compare it with the manifest.

        Raises:
            BadFile: something differs.
        """
        manifest = self.manifest
        progress.begin("Checking", sum(table.size for table in manifest.tables.values()) + manifest.blob_bytes)
        for name, table in manifest.tables.items():
            digest, rows, last = hashlib.sha256(), 0, b"\n"
            for piece in self._pieces(table_member(name)):
                digest.update(piece)
                rows += piece.count(b"\n")
                last = piece[-1:]
                progress.advance(len(piece))
            if (digest.hexdigest(), rows, last) != (table.sha256, table.rows, b"\n"):
                raise damaged(f"the table {name} is not as it was written")
        for blob in manifest.blobs:
            digest = hashlib.sha256()
            for piece in self.blob(blob):
                digest.update(piece)
                progress.advance(len(piece))
            if digest.hexdigest() != blob.sha256:
                raise damaged(f"the file {blob.key} is not as it was written")

    def rows(self, table: str) -> Iterator[list[list[Any]]]:
        """Give a table's rows in batches.

        Raises:
            BadFile: a line is no row of the table, or too long.
        """
        width = len(self.manifest.tables[table].columns)
        for lines in self._lines(table):
            try:
                batch = list(map(row_of, lines))
            except (ValueError, RecursionError) as error:
                raise damaged(f"the table {table} has a line that is no row") from error
            if any(len(row) != width for row in batch):
                raise damaged(f"the table {table} has a row of another length")
            yield batch

    def _lines(self, table: str) -> Iterator[list[bytes]]:
        # The pieces of a long line are put together once, when its end is there.
        begun: list[bytes] = []
        size = 0
        for piece in self._pieces(table_member(table)):
            first, *others = piece.split(b"\n")
            begun.append(first)
            size += len(first)
            if others:
                yield [b"".join(begun), *others[:-1]]
                begun, size = [others[-1]], len(others[-1])
            if size > LINE_LIMIT:
                raise damaged(f"the table {table} has a line that is too long")

    def blob(self, blob: BlobEntry) -> Iterator[bytes]:
        """Give a file's bytes in pieces."""
        return self._pieces(blob_member(blob.key))

    def _read_manifest(self) -> Manifest:
        try:
            info = self._zip.getinfo(MANIFEST)
        except KeyError as error:
            raise damaged("it has no list of its contents") from error
        if info.file_size > manifest_limit(len(self._zip.infolist())):
            raise damaged("its list of contents is too long")
        return Manifest.from_json(b"".join(self._pieces(MANIFEST)))

    def _check_members(self) -> None:
        """Compare names and sizes: no member more, none less, none twice, files stored as they are."""
        sizes = {MANIFEST: self._zip.getinfo(MANIFEST).file_size}
        sizes |= {table_member(name): table.size for name, table in self.manifest.tables.items()}
        sizes |= {blob_member(blob.key): blob.size for blob in self.manifest.blobs}
        members = self._zip.infolist()
        told = 1 + len(self.manifest.tables) + len(self.manifest.blobs)
        if not len(members) == len(sizes) == told or {info.filename for info in members} != sizes.keys():
            raise damaged("its members are not those of its list of contents")
        for info in members:
            stored = info.filename.startswith(blob_member(""))
            wanted = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            if info.file_size != sizes[info.filename] or info.compress_type != wanted or info.flag_bits & _ENCRYPTED:
                raise damaged(f"{info.filename} is not as it was written")

    def _pieces(self, member: str) -> Iterator[bytes]:
        with _told_as_damage(), self._zip.open(member) as file:
            while piece := file.read(_PIECE):
                yield piece


@contextmanager
def _told_as_damage() -> Iterator[None]:
    try:
        yield
    except _DAMAGES as error:
        raise damaged("its bytes were changed, or some are missing") from error
    except OSError as error:
        raise BadFile(f"The backup cannot be read: {error.strerror}.") from error
