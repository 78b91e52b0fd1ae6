"""A file or a page, as ingest sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from eudai_core.contracts import UnitOfWork
from eudai_core.errors import NotFound
from eudai_core.model import DocumentVersion, FileRecord, Url

__all__ = ["Document", "find_document", "of_file", "of_url"]


@dataclass(frozen=True, slots=True)
class Document:
    """What has versions: its name for people, whom to tell of it, and its newest version."""

    kind: Literal["file", "url"]
    id: UUID
    project_id: UUID
    name: str
    user_id: UUID
    current: DocumentVersion


def of_file(file: FileRecord) -> Document:
    """Return a file as a document."""
    return Document("file", file.id, file.project_id, file.filename, file.uploaded_by, file.current)


def of_url(url: Url) -> Document:
    """Return a page as a document.

    Raises:
        NotFound: nothing was fetched of it so far.
    """
    if url.current is None:
        raise NotFound(f"There is no version of page {url.id}.")
    return Document("url", url.id, url.project_id, url.title or url.url, url.added_by, url.current)


async def find_document(unit: UnitOfWork, kind: str, document_id: UUID) -> Document:
    """Return the document that has this id, among files or among pages.

    Raises:
        NotFound: there is none.
    """
    if kind == "url":
        return of_url(await unit.urls.get(document_id))
    return of_file(await unit.documents.get_file(document_id))
