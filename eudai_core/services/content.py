"""A project's files and standing instructions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from eudai_core.contracts import BlobStore, Clock, Storage
from eudai_core.errors import BadFile, EudaiError, FieldError, InvalidInput, NotFound, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.ingest import Ingest
from eudai_core.ingest.media_type import sniff
from eudai_core.model import BlobInfo, DocumentVersion, FileRecord, Identity, Instruction, Page
from eudai_core.services.access import missing
from eudai_core.services.fields import check_limit, check_text
from eudai_core.services.garbage import BlobGarbage
from eudai_core.services.notices import Notices
from eudai_core.services.projects import Projects

__all__ = ["Content", "Upload"]

HEAD: Final = 4096
FILENAME_LENGTH: Final = 255
INSTRUCTION_LENGTH: Final = 20_000
PREVIEW_LENGTH: Final = 2_000
MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way in; ``chunks`` are read once, in order."""

    filename: str
    chunks: AsyncIterator[bytes]


class Content:
    """Files and instructions of projects."""

    def __init__(
        self,
        storage: Storage,
        blobs: BlobStore | None,
        ingest: Ingest,
        projects: Projects,
        clock: Clock,
        notices: Notices,
        garbage: BlobGarbage,
        *,
        max_upload_mb: int,
    ) -> None:
        self._storage = storage
        self._blobs = blobs
        self._ingest = ingest
        self._projects = projects
        self._clock = clock
        self._notices = notices
        self._garbage = garbage
        self._most = max_upload_mb * MEGABYTE

    async def upload(
        self, identity: Identity, project_id: UUID, uploads: AsyncIterator[Upload]
    ) -> Sequence[FileRecord]:
        """Store one or many files, all or none; a file that is there with the same name and bytes is given back.

        Raises:
            BadFile: one is empty, too large or badly named, or there is none.
            StorageUnavailable: there is no blob store, or it is full.
        """
        await self._projects.get(identity, project_id, action="write")
        put: list[BlobInfo] = []
        try:
            files = [await self._store(identity, project_id, upload, put) async for upload in uploads]
            if not files:
                raise BadFile("The request holds no file. Send multipart/form-data with one part a file.")
        except BaseException:
            await self._discard(put)  # nothing is left behind, also when the client went away
            raise
        # A commit that is not confirmed may have named the bytes, so only a certain refusal removes them.
        try:
            kept = await self._keep(project_id, files)
        except StorageUnavailable:
            raise
        except EudaiError:
            await self._discard(put)  # refused for certain, such as when the project was deleted meanwhile
            raise
        await self._discard([blob for blob in put if blob.key not in {file.current.blob_key for file in kept}])
        self._garbage.wake()
        for file in kept:
            if file in files:
                self._notices.tell("file", "created", identity.user_id, file.id, {"project_id": str(project_id)})
        return kept

    async def list_files(
        self, identity: Identity, project_id: UUID, *, cursor: str | None = None, limit: int = 50
    ) -> Page[FileRecord]:
        """List a project's files, newest first."""
        await self._projects.get(identity, project_id)
        async with self._storage.unit_of_work(readonly=True) as unit:
            return await unit.documents.list_files(project_id, cursor=cursor, limit=check_limit(limit))

    async def get_file(self, identity: Identity, project_id: UUID | None, file_id: UUID) -> FileRecord:
        """Return a file; with ``project_id`` it must be that project's."""
        async with self._storage.unit_of_work(readonly=True) as unit:
            file = await unit.documents.get_file(file_id)
        if project_id is not None and file.project_id != project_id:
            raise missing("file", file_id)
        await self._owned(identity, file.project_id, "file", file_id)
        return file

    async def preview(self, identity: Identity, file: FileRecord) -> str:
        """Return the beginning of the text that was read out of a file, or an empty string."""
        try:
            async with self._storage.unit_of_work(readonly=True) as unit:
                return (await unit.documents.text_of(file.current.id))[:PREVIEW_LENGTH]
        except NotFound:
            return ""

    async def download(
        self, identity: Identity, file_id: UUID, *, start: int = 0, length: int | None = None
    ) -> tuple[FileRecord, AsyncIterator[bytes]]:
        """Return a file and its bytes, exactly as they came in."""
        file = await self.get_file(identity, None, file_id)
        return file, self._store_or_fail().read(file.current.blob_key, start=start, length=length)

    async def delete_file(self, identity: Identity, project_id: UUID, file_id: UUID) -> None:
        """Delete a file; its text is erased everywhere."""
        file = await self.get_file(identity, project_id, file_id)
        await self._projects.get(identity, project_id, action="write")
        await self._ingest.forget(file)
        async with self._storage.unit_of_work() as unit:
            keys = await unit.documents.delete_file(file_id)
            await self._garbage.schedule(unit, keys)
            await unit.commit()
        await self._ingest.forget(file)  # again: an ingest that ended in between has put passages back
        self._garbage.wake()
        self._notices.tell("file", "deleted", identity.user_id, file_id, {"project_id": str(project_id)})

    async def list_instructions(self, identity: Identity, project_id: UUID) -> Sequence[Instruction]:
        """Return a project's instructions in their order."""
        await self._projects.get(identity, project_id)
        async with self._storage.unit_of_work(readonly=True) as unit:
            return await unit.documents.list_instructions(project_id)

    async def add_instruction(
        self, identity: Identity, project_id: UUID, *, text: str, position: int = 0, enabled: bool = True
    ) -> Instruction:
        """Add a standing instruction."""
        await self._projects.get(identity, project_id, action="write")
        text = check_text("$.instruction_text", text, longest=INSTRUCTION_LENGTH, shortest=1)
        position = _position(position)
        instruction = Instruction(new_id(), project_id, text, self._clock.now(), position, enabled)
        async with self._storage.unit_of_work() as unit:
            await unit.documents.add_instruction(instruction)
            await unit.commit()
        return instruction

    async def get_instruction(self, identity: Identity, project_id: UUID, instruction_id: UUID) -> Instruction:
        """Return one instruction of a project."""
        async with self._storage.unit_of_work(readonly=True) as unit:
            instruction = await unit.documents.get_instruction(instruction_id)
        if instruction.project_id != project_id:
            raise missing("instruction", instruction_id)
        await self._owned(identity, project_id, "instruction", instruction_id)
        return instruction

    async def update_instruction(
        self,
        identity: Identity,
        project_id: UUID,
        instruction_id: UUID,
        *,
        text: str | None = None,
        position: int | None = None,
        enabled: bool | None = None,
    ) -> Instruction:
        """Change what is given."""
        changed = await self.get_instruction(identity, project_id, instruction_id)
        await self._projects.get(identity, project_id, action="write")
        if text is not None:
            text = check_text("$.instruction_text", text, longest=INSTRUCTION_LENGTH, shortest=1)
            changed = replace(changed, instruction_text=text)
        if position is not None:
            changed = replace(changed, position=_position(position))
        if enabled is not None:
            changed = replace(changed, enabled=enabled)
        async with self._storage.unit_of_work() as unit:
            stored = await unit.documents.update_instruction(changed)
            await unit.commit()
        return stored

    async def delete_instruction(self, identity: Identity, project_id: UUID, instruction_id: UUID) -> None:
        """Delete an instruction."""
        await self.get_instruction(identity, project_id, instruction_id)
        await self._projects.get(identity, project_id, action="write")
        async with self._storage.unit_of_work() as unit:
            await unit.documents.delete_instruction(instruction_id)
            await unit.commit()

    async def _owned(self, identity: Identity, project_id: UUID, kind: str, object_id: UUID) -> None:
        try:
            await self._projects.get(identity, project_id)
        except NotFound as error:
            raise missing(kind, object_id) from error

    def _store_or_fail(self) -> BlobStore:
        if self._blobs is None:
            raise StorageUnavailable("No blob store is loaded, so files cannot be kept: see `eudai plugins list`.")
        return self._blobs

    async def _store(self, identity: Identity, project_id: UUID, upload: Upload, put: list[BlobInfo]) -> FileRecord:
        name = _filename(upload.filename)
        file_id, version_id = new_id(), new_id()
        head = bytearray()
        key = f"files/{version_id.hex[-2:]}/{version_id.hex}"
        async with aclosing(self._limited(name, upload.chunks, head)) as chunks:
            blob = await self._store_or_fail().put(key, chunks)
        put.append(blob)
        if blob.size == 0:
            raise BadFile(f"The file {name!r} is empty.", errors=(FieldError("$.files", "is empty"),))
        now = self._clock.now()
        version = DocumentVersion(
            id=version_id,
            owner_type="file",
            owner_id=file_id,
            project_id=project_id,
            number=1,
            sha256=blob.sha256,
            blob_key=blob.key,
            media_type=sniff(name, bytes(head)),
            size=blob.size,
            created_at=now,
        )
        return FileRecord(file_id, project_id, name, now, identity.user_id, version)

    async def _limited(self, name: str, chunks: AsyncIterator[bytes], head: bytearray) -> AsyncGenerator[bytes, None]:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self._most:
                problem = f"is larger than {self._most // MEGABYTE} MB"
                raise BadFile(f"The file {name!r} {problem}.", errors=(FieldError("$.files", problem),))
            if len(head) < HEAD:
                head += chunk[: HEAD - len(head)]
            yield chunk

    async def _keep(self, project_id: UUID, files: Sequence[FileRecord]) -> Sequence[FileRecord]:
        kept: list[FileRecord] = []
        async with self._storage.unit_of_work() as unit:
            for file in files:
                same = await unit.documents.find_file(project_id, file.filename, file.current.sha256)
                if same is None:
                    await unit.documents.add_file(file)
                    await self._ingest.schedule(unit, file.current)
                kept.append(same or file)
            await unit.commit()
        return kept

    async def _discard(self, blobs: Sequence[BlobInfo]) -> None:
        for blob in blobs:
            await self._store_or_fail().delete(blob.key)


def _filename(name: str) -> str:
    # Browsers and tools may send a whole path: the last component is the name, and it is data, never a path.
    last = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    try:
        check_text("$.filename", last, longest=FILENAME_LENGTH, shortest=1)
    except InvalidInput as error:
        raise BadFile(f"The file name cannot be used: {error.detail}", errors=error.errors) from error
    if last in {".", ".."} or any(ord(character) < 32 for character in last):
        problem = "holds control characters or only dots"
        raise BadFile(f"The file name {problem}.", errors=(FieldError("$.filename", problem),))
    return last


def _position(position: int) -> int:
    if not -1_000_000 <= position <= 1_000_000:
        raise InvalidInput("position is out of range.", errors=(FieldError("$.position", "is out of range"),))
    return position
