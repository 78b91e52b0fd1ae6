"""A desk to leave files at, over a host with the default plugins for content, context and storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from eudai_core.hooks import hookimpl
from eudai_core.ids import new_id
from eudai_core.ingest import ExtractionLimits, Ingest, IngestHandler, sniff
from eudai_core.jobs import JobRunner
from eudai_core.model import DocumentVersion, FileRecord, SearchHit, SearchScope
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import BLOB_STORES, SEARCH_INDEXES, STORAGE
from eudai_core.text import tokenise
from support.sql_rows import NOW, Rows

__all__ = ["LIMITS", "Desk", "HostileExtractor", "HostilePlugin", "Told"]

LIMITS = ExtractionLimits(seconds=20.0)


@dataclass(frozen=True, slots=True)
class HostileExtractor:
    """Runs a function of support.hostile_extractors on the type ``application/x-<name>``."""

    name: str

    @property
    def media_types(self) -> frozenset[str]:
        return frozenset({f"application/x-{self.name}"})

    @property
    def target(self) -> str:
        return f"support.hostile_extractors:{self.name}"


class HostilePlugin:
    """Registers extractors that misbehave."""

    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_text_extractors(self, register: Any) -> None:
        for name in ("well", "raises", "hangs", "killed", "far_line", "unusable", "slow"):
            register(name, lambda context, name=name: HostileExtractor(name))


@dataclass
class Told:
    """Notes the events."""

    events: list[tuple[str, str, UUID, UUID, Mapping[str, Any]]] = field(default_factory=list)

    def tell(
        self, kind: str, action: str, user_id: UUID, object_id: UUID, data: Mapping[str, Any] | None = None
    ) -> None:
        self.events.append((kind, action, user_id, object_id, data or {}))

    @property
    def statuses(self) -> list[str]:
        return [str(data["status"]) for *_, data in self.events]


class Desk:
    """Takes files in as the content service does, and looks at what became of them."""

    def __init__(self, host: PluginHost, runner: JobRunner, handler: IngestHandler, told: Told, rows: Rows) -> None:
        self.host = host
        self.runner = runner
        self.handler = handler
        self.told = told
        self.rows = rows
        self.ingest = Ingest(host.clock, runner)

    async def store(self, name: str, data: bytes, media_type: str | None = None) -> FileRecord:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        blob = await self.host.one(BLOB_STORES).put(f"files/{new_id()}", chunks())
        file_id, project = new_id(), self.rows.project
        version = DocumentVersion(
            new_id(),
            "file",
            file_id,
            project.id,
            1,
            blob.sha256,
            blob.key,
            media_type or sniff(name, data[:4096]),
            blob.size,
            NOW,
        )
        file = FileRecord(file_id, project.id, name, NOW, self.rows.user.id, version)
        async with self.host.one(STORAGE).unit_of_work() as unit:
            await unit.documents.add_file(file)
            await unit.commit()
        return file

    async def upload(self, name: str, data: bytes, media_type: str | None = None) -> FileRecord:
        file = await self.store(name, data, media_type)
        await self.ingest.enqueue(file.current)
        return file

    async def version(self, file: FileRecord) -> DocumentVersion:
        async with self.host.one(STORAGE).unit_of_work(readonly=True) as unit:
            return (await unit.documents.get_file(file.id)).current

    async def text(self, file: FileRecord) -> str:
        async with self.host.one(STORAGE).unit_of_work(readonly=True) as unit:
            return await unit.documents.text_of(file.current.id)

    async def delete(self, file: FileRecord) -> None:
        async with self.host.one(STORAGE).unit_of_work() as unit:
            await unit.documents.delete_file(file.id)
            await unit.commit()

    async def search(self, words: str) -> list[SearchHit]:
        terms = dict.fromkeys(tokenise(words), 1.0)
        index = self.host.one(SEARCH_INDEXES)
        return list(await index.search(terms, scopes=[SearchScope(self.rows.project.id)], limit=10))
