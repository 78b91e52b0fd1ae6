"""Making a backup while everything goes on."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, ParamSpec, Self, TypeVar

from eudai_core import __version__
from eudai_core.backup.capability import kind_of, portable
from eudai_core.backup.hold import BACKUP_JOB, Hold, backup_hold
from eudai_core.backup.iterating import closed_after
from eudai_core.backup.manifest import BlobEntry, Manifest, TableEntry
from eudai_core.backup.progress import Progress, Silent
from eudai_core.backup.writing import ArchiveWriter, name_taken
from eudai_core.contracts import BlobStore, Clock, Row, Snapshot, Storage, TableShape
from eudai_core.errors import NotFound, StorageUnavailable

__all__ = ["BackupReport", "make_backup"]

P = ParamSpec("P")
T = TypeVar("T")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""No room: on the disk, or in the user's share of it."""
_JOBS: Final = "jobs"
_VERSIONS: Final = "document_versions"
_COLUMNS: Final = ("blob_key", "sha256", "size")


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What became of a backup: its file, the bytes of that, and what is in it."""

    path: Path
    size: int
    manifest: Manifest


@dataclass(slots=True)
class _NamedBlobs:
    """The blobs that rows of the snapshot name, with the size and hash that the rows say."""

    found: dict[str, tuple[int, str]] = field(default_factory=dict)

    def notice(self, table: TableShape, rows: Sequence[Row]) -> None:
        """Look for names of blobs in rows."""
        if table.name == _VERSIONS:
            key, sha256, size = map(table.columns.index, _COLUMNS)
            self.found.update((row[key], (row[size], row[sha256])) for row in rows)


async def make_backup(
    storage: Storage, blobs: BlobStore | None, path: Path, clock: Clock, progress: Progress | None = None
) -> BackupReport:
    """Write everything into the new file ``path``; without ``blobs`` the database only.

    The database is read as it is at one moment, then the files that its rows name are copied: they never change, and
    none is deleted before the backup has ended. What is damaged already is told in the manifest, and is no error.

    Raises:
        Conflict: another backup runs, or there is a file at ``path``.
        ConfigError: the storage cannot be carried, or a row cannot be written.
        StorageUnavailable: database, blob store or disk fail; nothing is left then.
    """
    database = portable(storage)
    told = progress or Silent()
    if await asyncio.to_thread(path.exists):
        raise name_taken(path)
    async with backup_hold(storage, clock) as hold, _Draft.made(path) as draft:
        guarded = _Guarded(told, hold)
        named = _NamedBlobs()
        async with database.snapshot() as snapshot:
            at = clock.now()
            tables = await _write_tables(draft, snapshot, named, guarded)
            revisions, last_keys = dict(snapshot.revisions), dict(await snapshot.last_keys())
        entries: list[BlobEntry] = []
        flawed: dict[str, str] = {}
        if blobs is not None:
            entries, flawed = await _write_blobs(draft, blobs, named.found, guarded)
        manifest = Manifest(
            program=__version__,
            database=kind_of(storage),
            created_at=at,
            revisions=revisions,
            tables=tables,
            last_keys=last_keys,
            files=blobs is not None,
            blobs=entries,
            flawed=flawed,
        )
        await hold.confirm()
        size = await draft.run(draft.archive.publish, manifest)
    return BackupReport(path, size, manifest)


class _Guarded:
    """A Progress that ends the backup at its next step when the hold is gone."""

    def __init__(self, progress: Progress, hold: Hold) -> None:
        self._hold = hold
        self.begin = progress.begin
        self._advance = progress.advance

    def advance(self, steps: int) -> None:
        self._hold.check()
        self._advance(steps)


class _Draft:
    """The archive in the making; what its disk does is told as its disk's, and not as the database's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.archive: ArchiveWriter

    @classmethod
    @asynccontextmanager
    async def made(cls, path: Path) -> AsyncIterator[Self]:
        draft = cls(path)
        draft.archive = await draft.run(ArchiveWriter, path)
        try:
            yield draft
        except BaseException:
            await asyncio.to_thread(draft.archive.discard)
            raise

    async def run(self, step: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Do one step of the archive in a thread."""
        try:
            return await asyncio.to_thread(step, *args, **options)
        except OSError as error:
            if error.errno in _FULL:
                raise StorageUnavailable(
                    f"The disk of {self._path.parent} is full: make room, then try again."
                ) from error
            why = error.strerror or error
            raise StorageUnavailable(f"The backup cannot be written to {self._path}: {why}.") from error


async def _write_tables(
    draft: _Draft, snapshot: Snapshot, named: _NamedBlobs, progress: Progress
) -> dict[str, TableEntry]:
    counts = [await snapshot.count(table) for table in snapshot.tables]
    progress.begin("Rows", sum(counts))
    entries: dict[str, TableEntry] = {}
    for table in snapshot.tables:
        await draft.run(draft.archive.begin_table, table.name)
        async with closed_after(snapshot.rows(table)) as batches:
            async for batch in batches:
                rows = _without_own_job(table, batch)
                named.notice(table, rows)
                await draft.run(draft.archive.add_rows, rows)
                progress.advance(len(batch))
        entries[table.name] = await draft.run(draft.archive.end_table, table)
    return entries


def _without_own_job(table: TableShape, rows: Sequence[Row]) -> Sequence[Row]:
    """Leave out the job that stands for this backup: elsewhere none runs."""
    if table.name != _JOBS:
        return rows
    kind = table.columns.index("kind")
    return [row for row in rows if row[kind] != BACKUP_JOB]


async def _write_blobs(
    draft: _Draft, blobs: BlobStore, named: Mapping[str, tuple[int, str]], progress: Progress
) -> tuple[list[BlobEntry], dict[str, str]]:
    progress.begin("Files", sum(size for size, _ in named.values()))
    entries: list[BlobEntry] = []
    flawed: dict[str, str] = {}
    for key, (size, sha256) in sorted(named.items()):
        entry = await _write_blob(draft, blobs, key, progress)
        if entry is None:
            flawed[key] = "missing"
            continue
        entries.append(entry)
        if (entry.size, entry.sha256) != (size, sha256):
            flawed[key] = "changed"
    return entries, flawed


async def _write_blob(draft: _Draft, blobs: BlobStore, key: str, progress: Progress) -> BlobEntry | None:
    begun = False
    try:
        async with closed_after(_bytes_of(blobs, key)) as pieces:
            async for piece in pieces:
                if not begun:  # only now it is known that there is such a blob
                    await draft.run(draft.archive.begin_blob, key)
                    begun = True
                await draft.run(draft.archive.add, piece)
                progress.advance(len(piece))
    except NotFound:
        if begun:
            raise
        return None
    if not begun:
        await draft.run(draft.archive.begin_blob, key)
    return await draft.run(draft.archive.end_blob, key)


async def _bytes_of(blobs: BlobStore, key: str) -> AsyncIterator[bytes]:
    """Give the bytes of a blob; a fault of its store is told with its name."""
    try:
        async with closed_after(blobs.read(key)) as pieces:
            async for piece in pieces:
                yield piece
    except (OSError, StorageUnavailable) as error:
        why = error.detail if isinstance(error, StorageUnavailable) else f"{error.strerror or error}."
        raise StorageUnavailable(
            f"The file {key} cannot be read from the blob store: {why} Mend that, or remove the file if it is lost, "
            "and try again. Nothing of the backup was kept."
        ) from error
