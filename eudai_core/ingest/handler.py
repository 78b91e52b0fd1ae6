"""The job that takes a stored version all the way to passages.

Its steps are ordered so that it may be cut off after any of them and begin again: the index is replaced as a whole,
the version is finished in one transaction, and only then is anybody told. A version that is ready already is put into
the index again from its stored text, a failed one stays failed. Until a version is read, the index keeps the text of
the one before it; when it cannot be read, that text goes, for it is no longer what the document says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from eudai_core.errors import BadFile, NotFound
from eudai_core.ingest.document import Document, find_document
from eudai_core.ingest.extraction import DEFAULT_LIMITS, ExtractionLimits
from eudai_core.ingest.ingest import schedule_again
from eudai_core.ingest.reading import DocumentReader, Reading
from eudai_core.model import DocumentStatus, DocumentVersion, Job, Passage, SearchDocument, SearchScope
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import SEARCH_INDEXES, STORAGE

__all__ = ["IngestHandler", "Teller"]


class Teller(Protocol):
    """Gives out events after their commit; see eudai_core.services.notices."""

    def tell(
        self, kind: str, action: str, user_id: UUID, object_id: UUID, data: Mapping[str, Any] | None = None
    ) -> None:
        """Tell that ``action`` happened to an object of a user; never blocks, never raises."""
        ...


class IngestHandler:
    """Does the jobs of kind ``ingest``; see eudai_core.contracts.JobHandler."""

    def __init__(self, host: PluginHost, notices: Teller, limits: ExtractionLimits = DEFAULT_LIMITS) -> None:
        """Read with the host's plugins, and tell ``notices`` how it ended."""
        self._host = host
        self._notices = notices
        self._reader = DocumentReader(host, limits)

    async def run(self, job: Job) -> None:
        """Read the version, index it, store the outcome, tell it.

        Raises:
            Unavailable: a part of the server is not there; the job is to be tried again.
        """
        try:
            await self._ingest(job)
        except _Gone:
            await self._unindex(UUID(job.payload["document_id"]))

    async def give_up(self, job: Job, error: str) -> None:
        """Mark the version as failed for the reason of the last try."""
        try:
            document, version = await self._find(job)
            if version.status is DocumentStatus.PENDING:
                await self._fail(document, version, error)
        except _Gone:
            await self._unindex(UUID(job.payload["document_id"]))

    async def _ingest(self, job: Job) -> None:
        document, version = await self._find(job)
        if version.status is DocumentStatus.FAILED:
            self._tell(document, version)
            return
        try:
            reading = await self._reading(document, version)
        except BadFile as error:
            await self._fail(document, version, error.detail)
            return
        await self._index(document, version, reading.passages)
        if version.status is DocumentStatus.PENDING:
            version = await self._finish(version, DocumentStatus.READY, text=reading.text, tokens=reading.tokens)
        await self._yield_to_newer(document, version)
        self._tell(document, version)

    async def _find(self, job: Job) -> tuple[Document, DocumentVersion]:
        async with self._host.one(STORAGE).unit_of_work(readonly=True) as unit:
            try:
                version = await unit.documents.get_version(UUID(job.payload["version_id"]))
                return await find_document(unit, version.owner_type, version.owner_id), version
            except NotFound as error:
                raise _Gone from error

    async def _reading(self, document: Document, version: DocumentVersion) -> Reading:
        if version.status is DocumentStatus.PENDING:
            return await self._reader.read(document.name, version)
        async with self._host.one(STORAGE).unit_of_work(readonly=True, snapshot=False) as unit:
            text = await unit.documents.text_of(version.id)
        return await self._reader.cut(text, document.name, version)

    async def _index(self, document: Document, version: DocumentVersion, passages: Sequence[Passage]) -> None:
        index = self._host.find(SEARCH_INDEXES)
        if index is None or document.current.id != version.id:  # an older version is kept, not searched
            return
        scope = SearchScope(document.project_id)
        try:
            await index.put([SearchDocument(scope, document.id, version.number, document.name, passages)])
        except NotFound as error:
            raise _Gone from error

    async def _fail(self, document: Document, version: DocumentVersion, reason: str) -> None:
        version = await self._finish(version, DocumentStatus.FAILED, error=reason)
        if version.number > 1 and document.current.id == version.id:
            await self._unindex(document.id)
            await self._yield_to_newer(document, version)
        self._tell(document, version)

    async def _yield_to_newer(self, document: Document, version: DocumentVersion) -> None:
        """Have a newer version indexed again that came while this one was: the index may hold what this one put."""
        if document.current.id != version.id:
            return  # it never touched the index
        async with self._host.one(STORAGE).unit_of_work(readonly=True, snapshot=False) as unit:
            try:
                newest = (await find_document(unit, document.kind, document.id)).current
            except NotFound as missing:
                raise _Gone from missing
        if newest.id == version.id or newest.status is DocumentStatus.FAILED:
            return
        async with self._host.one(STORAGE).unit_of_work() as unit:
            await schedule_again(unit, newest, self._host.clock)
            await unit.commit()

    async def _finish(
        self,
        version: DocumentVersion,
        status: DocumentStatus,
        *,
        error: str | None = None,
        text: str | None = None,
        tokens: int = 0,
    ) -> DocumentVersion:
        async with self._host.one(STORAGE).unit_of_work() as unit:
            try:
                finished = await unit.documents.finish_version(
                    version.id, status=status, error=error, text=text, tokens=tokens
                )
            except NotFound as missing:
                raise _Gone from missing
            await unit.commit()
        return finished

    async def _unindex(self, document_id: UUID) -> None:
        index = self._host.find(SEARCH_INDEXES)
        if index is not None:
            await index.remove(document_id)

    def _tell(self, document: Document, version: DocumentVersion) -> None:
        data = {"project_id": str(document.project_id), "version": version.number, "status": version.status.value}
        self._notices.tell(document.kind, "updated", document.user_id, document.id, data)


class _Gone(Exception):  # noqa: N818 -- no error: the document was deleted meanwhile
    """The document is not there any more."""
