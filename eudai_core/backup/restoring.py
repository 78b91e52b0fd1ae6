"""Restoring a backup into an empty database."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from eudai_core.backup.capability import kind_of, portable, refuse_in_use, refuse_rows
from eudai_core.backup.iterating import in_thread
from eudai_core.backup.manifest import BlobEntry, Manifest, damaged
from eudai_core.backup.progress import Progress, Silent
from eudai_core.backup.reading import ArchiveReader
from eudai_core.backup.transfer import Carried, Choice, carry, choose, what_is_missing
from eudai_core.contracts import BlobStore, Row, Storage, TableShape
from eudai_core.errors import BadFile, ConfigError
from eudai_core.model import MigrationSource
from eudai_core.plugin_tables import migrate_all

__all__ = ["RestoreReport", "restore_backup"]


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was, or would be, restored; ``tables`` is empty after a dry run. ``applied`` are the migrations since.

    ``failed`` tells why the tables of a plugin, by branch, could not be brought up to date.
    """

    manifest: Manifest
    tables: Mapping[str, Carried] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    applied: Sequence[str] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


async def restore_backup(
    path: Path,
    storage: Storage,
    blobs: BlobStore | None,
    sources: Sequence[MigrationSource],
    *,
    dry_run: bool = False,
    leave_out: bool = False,
    progress: Progress | None = None,
) -> RestoreReport:
    """Check a whole backup, then put its files into ``blobs`` and its rows into the empty ``storage``.

    The rows come last and in one transaction, so that a restore which is killed leaves an empty database, and can be
    done again. With ``leave_out`` tables of plugins that are not installed are left out.

    Raises:
        BadFile: the backup is not whole, or of a newer format; no row was restored, and it says what else was touched.
        Conflict: the database is not empty, or a server uses it; nothing was touched.
        ConfigError: the backup is of a newer version of the tables, or of plugins that are not installed.
        StorageUnavailable: database, blob store or disk fail.
    """
    database = portable(storage)
    told = progress or Silent()
    with _telling("Nothing was changed."):
        archive = await asyncio.to_thread(ArchiveReader, path)
    with closing(archive):
        rows = _ArchiveRows(archive)
        choice = choose(rows, sources, leave_out=leave_out)
        with _telling("Nothing was changed."):
            await _check(archive, choice, storage, blobs, told)
        if dry_run:
            return RestoreReport(archive.manifest, left_out=choice.left_out)
        with _telling("No row was restored; files that were, do no harm."):
            await database.prepare(choice.sources, choice.revisions)
            alike = archive.manifest.database == kind_of(storage)
            if missing := await what_is_missing(database, choice.tables, alike=alike):
                raise damaged(missing)
            if blobs is not None:
                await _restore_blobs(archive, blobs, told)
            told.begin("Rows", sum(archive.manifest.tables[table.name].rows for table in choice.tables))
            carried = await carry(rows, database, choice.tables, told)
    done = await migrate_all(storage, sources)
    return RestoreReport(archive.manifest, carried, choice.left_out, done.revisions, done.failed)


async def _check(
    archive: ArchiveReader, choice: Choice, storage: Storage, blobs: BlobStore | None, progress: Progress
) -> None:
    database = portable(storage)
    await database.prepare(choice.sources, choice.revisions, dry_run=True)
    if archive.manifest.blobs and blobs is None:
        raise ConfigError("The backup holds files and no blob store is loaded: see `eudai plugins list`.")
    await refuse_in_use(database, storage.description)
    await refuse_rows(database, storage.description)
    await asyncio.to_thread(archive.verify, progress)


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """Say of a backup that is not whole what became of the restore."""
    try:
        yield
    except BadFile as error:
        raise BadFile(f"{error.detail} {what}") from error


class _ArchiveRows:
    """The tables of an archive as a RowSource."""

    def __init__(self, archive: ArchiveReader) -> None:
        self._archive = archive
        self.revisions = archive.manifest.revisions
        self.tables = [TableShape(name, table.columns) for name, table in archive.manifest.tables.items()]

    async def last_keys(self) -> Mapping[str, int]:
        """Return what the database had given out when the backup was made."""
        return self._archive.manifest.last_keys

    async def rows(self, table: TableShape) -> AsyncIterator[Sequence[Row]]:
        """Give a table's rows, and compare them once more with the manifest: the file may have been changed."""
        found = 0
        async for batch in in_thread(self._archive.rows(table.name)):
            found += len(batch)
            yield batch
        if found != self._archive.manifest.tables[table.name].rows:
            raise damaged(f"the table {table.name} was changed meanwhile")


async def _restore_blobs(archive: ArchiveReader, blobs: BlobStore, progress: Progress) -> None:
    progress.begin("Files", archive.manifest.blob_bytes)
    for entry in archive.manifest.blobs:
        info = await blobs.put(entry.key, _checked(archive, entry, progress))
        if (info.size, info.sha256) != (entry.size, entry.sha256):
            raise damaged(f"the file {entry.key} was changed meanwhile")


async def _checked(archive: ArchiveReader, entry: BlobEntry, progress: Progress) -> AsyncIterator[bytes]:
    digest = hashlib.sha256()
    async for piece in in_thread(archive.blob(entry)):
        await asyncio.to_thread(digest.update, piece)
        yield piece
        progress.advance(len(piece))
    if digest.hexdigest() != entry.sha256:
        raise damaged(f"the file {entry.key} was changed meanwhile")
