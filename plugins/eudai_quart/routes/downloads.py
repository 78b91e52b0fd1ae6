"""Downloads: files byte for byte, and conversations in a format."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

from quart import Blueprint, Response, request

from eudai_core.model import FileRecord
from eudai_quart.conditional import has_already, not_modified
from eudai_quart.context import application, caller
from eudai_quart.headers import SANDBOX
from eudai_quart.openapi.operation import ANYTHING, Answer, operation
from eudai_quart.ranges import attachment, wanted
from eudai_quart.wire.content import Versioned
from eudai_quart.wire.decode import query
from eudai_quart.wire.requests import Format

__all__ = ["blueprint"]

blueprint = Blueprint("downloads", __name__)
TOLD = ("ETag", "Accept-Ranges", "Content-Disposition")


@blueprint.get("/api/download/files/<id:file_id>")
@operation(
    Answer(headers=TOLD, media=ANYTHING),
    Answer(status=206, headers=(*TOLD, "Content-Range"), media=ANYTHING),
    Answer(status=304, headers=TOLD, media=None),
    query=Versioned,
    takes=("Range", "If-Range", "If-None-Match"),
    refuses=(416,),
)
async def file(file_id: UUID) -> Response:
    """Give a file, or a part of it; the newest version, or another one."""
    wish = query(Versioned)
    files = application().content.files
    record = await files.version(caller(), file_id, wish.version)
    tag = f'"{record.current.sha256}"'
    if has_already(tag):
        return _finished(not_modified({}), record, tag)
    part = wanted(_range(tag), record.current.size)
    start, length = part or (0, record.current.size)
    chunks = files.read(record.current, start=start, length=length)
    response = Response(await _begun(chunks), 206 if part else 200, content_type=record.current.media_type)
    response.headers["Content-Length"] = str(length)
    if part:
        response.headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{record.current.size}"
    return _finished(response, record, tag)


@blueprint.get("/api/download/conversations/<id:conversation_id>")
@operation(Answer(headers=("Content-Disposition",), media=ANYTHING), query=Format)
async def conversation(conversation_id: UUID) -> Response:
    """Give a conversation as a document."""
    wish = query(Format)
    found, exporter, chunks = await application().conversations.export(caller(), conversation_id, wish.format)
    response = Response(await _begun(chunks), content_type=exporter.media_type)
    response.timeout = None
    response.headers["Content-Disposition"] = attachment(f"{found.title or 'conversation'}.{exporter.extension}")
    response.headers["Content-Security-Policy"] = SANDBOX
    return response


def _range(tag: str) -> str | None:
    """Return the Range header, unless If-Range says that the client has another version."""
    condition = request.headers.get("If-Range")
    if condition is not None and condition.strip() != tag:
        return None
    return request.headers.get("Range")


def _finished(response: Response, record: FileRecord, tag: str) -> Response:
    response.timeout = None
    response.headers["ETag"] = tag
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Disposition"] = attachment(record.filename)
    response.headers["Content-Security-Policy"] = SANDBOX
    return response


async def _begun(chunks: AsyncIterator[bytes]) -> _Begun:
    """Take the first piece: what fails here still has a status of its own."""
    first: bytes | None = None
    with suppress(StopAsyncIteration):
        first = await anext(chunks)
    return _Begun(first, chunks)


class _Begun:
    def __init__(self, first: bytes | None, rest: AsyncIterator[bytes]) -> None:
        self._first = first
        self._rest = rest

    def __aiter__(self) -> _Begun:
        return self

    async def __anext__(self) -> bytes:
        first, self._first = self._first, None
        return await anext(self._rest) if first is None else first

    async def aclose(self) -> None:
        """Let go of the source."""
        close: Any = getattr(self._rest, "aclose", None)
        if close is not None:
            await close()
