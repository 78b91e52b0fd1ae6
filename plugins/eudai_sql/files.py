"""Uploaded files, their versions, and the texts read out of them."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import NotFound
from eudai_core.model import DocumentStatus, DocumentVersion, FileRecord, Page
from eudai_sql import keyset
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import document_versions as versions
from eudai_sql.tables import files, search_documents, texts
from eudai_sql.texts import erase_texts, hash_text, store_texts
from eudai_sql.transaction import Row
from eudai_sql.versions import VERSION_COLUMNS, released_blobs, version_of, version_values

__all__ = ["FileRows"]

_OWNER: Final = "file"

_is_current: Final = sa.and_(
    versions.c.owner_id == files.c.id,
    versions.c.owner_type == _OWNER,
    versions.c.number == files.c.current_version,
)
_select: Final = sa.select(
    files.c.id,
    files.c.project_id,
    files.c.filename,
    files.c.uploaded_at,
    files.c.uploaded_by,
    files.c.pinned,
    *VERSION_COLUMNS,
).join_from(files, versions, _is_current)
_this: Final = files.c.id == sa.bindparam("file_id")
_of_project: Final = _select.where(files.c.project_id == sa.bindparam("project"))
_get: Final = _select.where(_this)
_find: Final = _of_project.where(
    versions.c.project_id == sa.bindparam("project"),
    versions.c.sha256 == sa.bindparam("hash"),
    files.c.filename == sa.bindparam("name"),
).limit(1)
_all: Final = _of_project.order_by(files.c.uploaded_at, files.c.id)
_first_page: Final = _of_project.order_by(files.c.uploaded_at.desc(), files.c.id.desc()).limit(
    sa.bindparam("limit", type_=sa.Integer())
)
_next_page: Final = _first_page.where(keyset.after(files.c.uploaded_at, files.c.id))
_add: Final = files.insert()
_add_version: Final = versions.insert()
_delete: Final = files.delete().where(_this)
_of_file: Final = (versions.c.owner_id == sa.bindparam("file_id"), versions.c.owner_type == _OWNER)
_delete_versions: Final = versions.delete().where(*_of_file)
_delete_passages: Final = search_documents.delete().where(search_documents.c.document_id == sa.bindparam("file_id"))
_blobs: Final = released_blobs(versions.c.owner_id, sa.bindparam("file_id", type_=sa.Uuid()))

_this_version: Final = versions.c.id == sa.bindparam("version_id")
_get_version: Final = sa.select(*VERSION_COLUMNS).where(_this_version)
_finish: Final = (
    versions.update()
    .where(_this_version)
    .values(
        status=sa.bindparam("new_status"),
        error=sa.bindparam("new_error"),
        text_sha256=sa.bindparam("new_text"),
        characters=sa.bindparam("new_characters"),
        tokens=sa.bindparam("new_tokens"),
    )
    .returning(*VERSION_COLUMNS)
)
_text: Final = (
    sa.select(texts.c.bytes).join_from(versions, texts, versions.c.text_sha256 == texts.c.sha256).where(_this_version)
)


class FileRows(Repository):
    """The part of eudai_core.contracts.Documents about files and versions."""

    __slots__ = ()

    async def add_file(self, file: FileRecord) -> None:
        """Add a file with its first version."""
        values = {
            "id": file.id,
            "project_id": file.project_id,
            "filename": file.filename,
            "path": file.current.blob_key,
            "uploaded_at": file.uploaded_at,
            "uploaded_by": file.uploaded_by,
            "current_version": file.current.number,
            "pinned": file.pinned,
        }
        await self._tx.run(_add, values)
        await self._tx.run(_add_version, version_values(file.current))

    async def get_file(self, file_id: UUID) -> FileRecord:
        """Return a file with its current version."""
        row = await self._tx.row(_get, {"file_id": file_id})
        if row is None:
            raise missing("file", file_id)
        return _file(row)

    async def find_file(self, project_id: UUID, filename: str, sha256: str) -> FileRecord | None:
        """Return the project's file of this name whose current version has these bytes, or None."""
        row = await self._tx.row(_find, {"project": project_id, "name": filename, "hash": sha256})
        return None if row is None else _file(row)

    async def list_files(self, project_id: UUID, *, cursor: str | None, limit: int) -> Page[FileRecord]:
        """List a project's files."""
        values: dict[str, Any] = {"project": project_id, "limit": limit + 1}
        statement = _first_page
        if cursor is not None:
            statement = _next_page
            values |= keyset.position(cursor)
        found = [_file(row) for row in await self._tx.rows(statement, values)]
        return keyset.page(found, limit, lambda file: (file.uploaded_at, file.id))

    async def all_files(self, project_id: UUID) -> list[FileRecord]:
        """Return every file of a project, oldest first."""
        return [_file(row) for row in await self._tx.rows(_all, {"project": project_id})]

    async def delete_file(self, file_id: UUID) -> list[str]:
        """Delete a file, its versions, its texts and passages; return blob keys that nothing names any more."""
        key = {"file_id": file_id}
        # The row goes first: who is about to store a text of this file holds it locked, or finds it gone.
        if not await self._tx.run(_delete, key):
            raise missing("file", file_id)
        blobs = [row[0] for row in await self._tx.rows(_blobs, key)]
        await self._tx.run(_delete_versions, key)
        await self._tx.run(_delete_passages, key, slow=True)
        await erase_texts(self._tx, [file_id])
        return blobs

    async def get_version(self, version_id: UUID) -> DocumentVersion:
        """Return one version of a document."""
        row = await self._tx.row(_get_version, {"version_id": version_id})
        if row is None:
            raise missing("document version", version_id)
        return version_of(tuple(row))

    async def finish_version(
        self,
        version_id: UUID,
        *,
        status: DocumentStatus,
        error: str | None = None,
        text: str | None = None,
        tokens: int = 0,
    ) -> DocumentVersion:
        """Store the outcome of reading a version, with its text when there is one, and return the result."""
        sha256 = None if text is None else await hash_text(text)
        values = {
            "version_id": version_id,
            "new_status": status.value,
            "new_error": error,
            "new_text": sha256,
            "new_characters": len(text or ""),
            "new_tokens": tokens,
        }
        # Before the text: this locks the version, so that its file cannot be deleted without the text.
        row = await self._tx.row(_finish, values)
        if row is None:
            raise missing("document version", version_id)
        version = version_of(tuple(row))
        if text is not None and sha256 is not None:
            await store_texts(self._tx, {sha256: text}, [(sha256, version.owner_id)])
        return version

    async def text_of(self, version_id: UUID) -> str:
        """Return the extracted text of a version."""
        text: str | None = await self._tx.value(_text, {"version_id": version_id})
        if text is None:
            raise NotFound(f"There is no text of document version {version_id}; it may not have been read yet.")
        return text


def _file(row: Row) -> FileRecord:
    file_id, project_id, filename, uploaded_at, uploaded_by, pinned, *version = row
    current = version_of(tuple(version))
    return FileRecord(file_id, project_id, filename, uploaded_at, uploaded_by, current, pinned)
