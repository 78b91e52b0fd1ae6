"""A project's files and their versions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import BadFile, NotFound
from eudai_core.ids import new_id
from eudai_core.ingest import Ingest
from eudai_core.ingest.media_type import sniff
from eudai_core.model import DocumentVersion, FileRecord, Identity, Page
from eudai_core.search import SearchRemoval
from eudai_core.services.access import missing
from eudai_core.services.fields import MAX_PAGE, check_limit
from eudai_core.services.filenames import checked_filename, uploaded_filename
from eudai_core.services.garbage import BlobGarbage
from eudai_core.services.intake import Batch, Intake, Taken
from eudai_core.services.notices import Notices
from eudai_core.services.projects import Projects
from eudai_core.services.revisions import check_revision, file_revision

__all__ = ["Files", "Upload", "Uploaded"]

PREVIEW_LENGTH: Final = 2_000
_NO_FILE: Final = "The request holds no file. Send multipart/form-data with one part a file."


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way in; ``chunks`` are read once, in order."""

    filename: str
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The files of an upload, in its order, and how many of them are new; the others were there already."""

    files: Sequence[FileRecord]
    created: int


class Files:
    """Take in, read, replace and delete files."""

    def __init__(
        self,
        storage: Storage,
        intake: Intake,
        ingest: Ingest,
        projects: Projects,
        clock: Clock,
        notices: Notices,
        garbage: BlobGarbage,
        removal: SearchRemoval,
    ) -> None:
        self._storage = storage
        self._intake = intake
        self._ingest = ingest
        self._projects = projects
        self._clock = clock
        self._notices = notices
        self._garbage = garbage
        self._removal = removal

    async def upload(self, identity: Identity, project_id: UUID, uploads: AsyncIterator[Upload]) -> Uploaded:
        """Store one or many files, all or none; a file that is there with the same name and bytes is given back.

        Raises:
            BadFile: one is empty, too large or badly named, or there is none.
            StorageUnavailable: there is no blob store, or it is full.
        """
        await self._projects.get(identity, project_id, action="write")
        async with self._intake.batch() as batch:
            files = [await self._taken(identity, project_id, upload, batch) async for upload in uploads]
            if not files:
                raise BadFile(_NO_FILE)
            batch.in_doubt = True
            kept = await self._keep(project_id, files, batch)
        self._garbage.wake()
        created = [file for file in kept if file in files]
        for file in created:
            self._tell("created", identity, file)
        return Uploaded(kept, len({file.id for file in created}))

    async def replace(
        self,
        identity: Identity,
        project_id: UUID,
        file_id: UUID,
        uploads: AsyncIterator[Upload],
        *,
        expected: str | None = None,
    ) -> FileRecord:
        """Give a file new bytes, as its next version; the bytes that it has already make no version.

        It keeps its name. Its old text stays findable until the new one is read.

        Raises:
            BadFile: the upload is not exactly one file, or that is empty or too large.
            StaleVersion: ``expected`` is not the file's revision.
        """
        file = await self.get(identity, project_id, file_id)
        await self._projects.get(identity, project_id, action="write")
        async with self._intake.batch() as batch:
            version_id = new_id()
            first = await anext(aiter(uploads), None)
            if first is None:
                raise BadFile(_NO_FILE)
            check_revision("file", expected, file_revision(file))  # before its bytes come; once more below
            taken = await self._only(first, uploads, version_id, batch)
            batch.in_doubt = True
            async with self._storage.unit_of_work() as unit:
                file = await unit.documents.get_file(file_id)
                check_revision("file", expected, file_revision(file))
                if file.current.sha256 == taken.blob.sha256:
                    return file
                version = self._version(version_id, file.id, project_id, file.filename, taken, file.current.number + 1)
                await unit.documents.add_version(version)
                await self._ingest.schedule(unit, version)
                await unit.commit()
            batch.keep(taken.blob.key)
        self._garbage.wake()
        file = replace(file, current=version)
        self._tell("updated", identity, file)
        return file

    async def list(
        self, identity: Identity, project_id: UUID, *, cursor: str | None = None, limit: int = 50
    ) -> Page[FileRecord]:
        """List a project's files, newest first."""
        await self._projects.get(identity, project_id)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.documents.list_files(project_id, cursor=cursor, limit=check_limit(limit))

    async def get(self, identity: Identity, project_id: UUID | None, file_id: UUID) -> FileRecord:
        """Return a file; with ``project_id`` it must be that project's."""
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            file = await unit.documents.get_file(file_id)
        if project_id is not None and file.project_id != project_id:
            raise missing("file", file_id)
        try:
            await self._projects.get(identity, file.project_id)
        except NotFound as error:
            raise missing("file", file_id) from error
        return file

    async def preview(self, identity: Identity, file: FileRecord) -> str:
        """Return the beginning of the text that was read out of a file, or an empty string."""
        try:
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                return (await unit.documents.text_of(file.current.id))[:PREVIEW_LENGTH]
        except NotFound:
            return ""

    async def versions(
        self, identity: Identity, project_id: UUID, file_id: UUID, *, cursor: str | None = None, limit: int = 50
    ) -> Page[DocumentVersion]:
        """List a file's versions, newest first."""
        await self.get(identity, project_id, file_id)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.documents.versions(file_id, cursor=cursor, limit=check_limit(limit))

    async def version(self, identity: Identity, file_id: UUID, number: int | None = None) -> FileRecord:
        """Return a file with one of its versions as the current one; the newest one without ``number``.

        Raises:
            NotFound: there is no such file of the caller's, or no such version of it.
        """
        file = await self.get(identity, None, file_id)
        if number is None or number == file.current.number:
            return file
        cursor: str | None = None
        while True:
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                page = await unit.documents.versions(file_id, cursor=cursor, limit=MAX_PAGE)
            for version in page.items:
                if version.number == number:
                    return replace(file, current=version)
            cursor = page.next
            if cursor is None or page.items[-1].number < number:
                raise NotFound(f"There is no version {number} of file {file_id}.")

    def read(self, version: DocumentVersion, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Give the bytes of a version that :meth:`version` found, exactly as they came in."""
        return self._intake.blobs.read(version.blob_key, start=start, length=length)

    async def update(
        self,
        identity: Identity,
        project_id: UUID,
        file_id: UUID,
        *,
        filename: str | None = None,
        pinned: bool | None = None,
        expected: str | None = None,
    ) -> FileRecord:
        """Rename a file, or pin it; what is None stays.

        Raises:
            InvalidInput: the name cannot be one.
            StaleVersion: ``expected`` is not the file's revision.
        """
        await self.get(identity, project_id, file_id)
        await self._projects.get(identity, project_id, action="write")
        name = None if filename is None else checked_filename(filename)
        async with self._storage.unit_of_work() as unit:
            found = await unit.documents.get_file(file_id)
            check_revision("file", expected, file_revision(found))
            changed = replace(
                found,
                filename=found.filename if name is None else name,
                pinned=found.pinned if pinned is None else pinned,
            )
            file = await unit.documents.update_file(changed)
            if file.filename != found.filename:
                await self._ingest.reschedule(unit, file.current)  # the index finds files by their names, too
            await unit.commit()
        self._garbage.wake()
        self._tell("updated", identity, file)
        return file

    async def delete(self, identity: Identity, project_id: UUID, file_id: UUID, *, expected: str | None = None) -> None:
        """Delete a file with all its versions; its text is erased everywhere.

        Raises:
            StaleVersion: ``expected`` is not the file's revision.
        """
        file = await self.get(identity, project_id, file_id)
        await self._projects.get(identity, project_id, action="write")
        async with self._storage.unit_of_work() as unit:
            if expected is not None:
                check_revision("file", expected, file_revision(await unit.documents.get_file(file_id)))
            keys = await unit.documents.delete_file(file_id)
            await self._garbage.schedule(unit, keys)
            await self._removal.schedule(unit, file_id)
            await unit.commit()
        self._garbage.wake()
        self._tell("deleted", identity, file)

    async def _taken(self, identity: Identity, project_id: UUID, upload: Upload, batch: Batch) -> FileRecord:
        name = uploaded_filename(upload.filename)
        file_id, version_id = new_id(), new_id()
        taken = await batch.take(_key(version_id), upload.chunks, what=f"The file {name!r}")
        version = self._version(version_id, file_id, project_id, name, taken, 1)
        return FileRecord(file_id, project_id, name, version.created_at, identity.user_id, version)

    async def _only(self, first: Upload, rest: AsyncIterator[Upload], version_id: UUID, batch: Batch) -> Taken:
        what = f"The file {uploaded_filename(first.filename)!r}"
        taken = await batch.take(_key(version_id), first.chunks, what=what)
        async for _ in rest:
            raise BadFile("A version is one file: send multipart/form-data with one part.")
        return taken

    def _version(
        self, version_id: UUID, file_id: UUID, project_id: UUID, name: str, taken: Taken, number: int
    ) -> DocumentVersion:
        return DocumentVersion(
            id=version_id,
            owner_type="file",
            owner_id=file_id,
            project_id=project_id,
            number=number,
            sha256=taken.blob.sha256,
            blob_key=taken.blob.key,
            media_type=sniff(name, taken.head),
            size=taken.blob.size,
            created_at=self._clock.now(),
        )

    async def _keep(self, project_id: UUID, files: Sequence[FileRecord], batch: Batch) -> Sequence[FileRecord]:
        kept: list[FileRecord] = []
        async with self._storage.unit_of_work() as unit:
            for file in files:
                same = await unit.documents.find_file(project_id, file.filename, file.current.sha256)
                if same is None:
                    await unit.documents.add_file(file)
                    await self._ingest.schedule(unit, file.current)
                kept.append(same or file)
            await unit.commit()
        for file in kept:
            batch.keep(file.current.blob_key)
        return kept

    def _tell(self, action: str, identity: Identity, file: FileRecord) -> None:
        data = {"project_id": str(file.project_id)}
        if action != "deleted":
            data["status"] = file.current.status.value
        self._notices.tell("file", action, identity.user_id, file.id, data)


def _key(version_id: UUID) -> str:
    return f"files/{version_id.hex[-2:]}/{version_id.hex}"
