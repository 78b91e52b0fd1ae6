"""Uploads: multipart/form-data (RFC 7578) read part by part while it arrives, with flat memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from quart import Request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.sansio.multipart import NEED_DATA, Data, Epilogue, Event, Field, File, MultipartDecoder

from eudai_core.errors import BadFile, FieldError
from eudai_core.services import Upload
from eudai_quart.body import Body

__all__ = ["uploads"]

MEGABYTE: Final = 1024 * 1024
FRAMING: Final = MEGABYTE
"""What the part headers and boundaries of a request may take besides its files."""
PIECE: Final = 64 * 1024
PARTS: Final = 1000
BROKEN: Final = "The upload is no complete multipart/form-data. Send it again."


async def uploads(request: Request, *, most_mb: int) -> AsyncIterator[Upload]:
    """Give the files of a request, in order. Each is to be read before the next is asked for; what is left is skipped.

    Raises:
        BadFile: the body is no multipart, or broken off, or over ``most_mb`` megabytes in all.
        UnsupportedMediaType: the request is not declared as multipart/form-data.
    """
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType
    boundary = request.mimetype_params.get("boundary", "").encode("latin-1", "replace")
    if not 1 <= len(boundary) <= 200:
        raise BadFile(BROKEN, errors=(FieldError("$", "has no boundary"),))
    body: Body = request.body  # type: ignore[assignment]  # see eudai_quart.body.Request
    body.limit = most_mb * MEGABYTE + FRAMING
    parts = _Parts(body, boundary, most_mb)
    while (event := await parts.next()) is not None:
        if isinstance(event, File):
            chunks = parts.data()
            yield Upload(event.filename, chunks)
        if isinstance(event, File | Field):
            async for _ in parts.data():
                pass  # a field that is no file, or what the reader left


class _Parts:
    """The events of one body."""

    def __init__(self, body: Body, boundary: bytes, most_mb: int) -> None:
        self._body = body
        self._most_mb = most_mb
        # The buffer holds one piece and at most a part's headers; more is no upload of an honest client.
        self._decoder = MultipartDecoder(boundary, 4 * PIECE, max_parts=PARTS)
        self._pieces = self._cut()
        self._in_part = False

    async def next(self) -> Event | None:
        """Return the next event, or None at the end."""
        try:
            while True:
                event = self._decoder.next_event()
                if isinstance(event, Epilogue):
                    return None
                if event is not NEED_DATA:
                    self._note(event)
                    self._in_part = isinstance(event, File | Field) or (isinstance(event, Data) and event.more_data)
                    return event
                self._decoder.receive_data(await anext(self._pieces, None))
        except (ValueError, AttributeError) as error:
            # werkzeug's decoder has no error of its own: it fails on what it cannot read.
            raise BadFile(BROKEN, errors=(FieldError("$", "is broken"),)) from error
        except RequestEntityTooLarge as error:
            raise BadFile(BROKEN, errors=(FieldError("$", "has too many parts, or headers too long"),)) from error

    def _note(self, event: Event) -> None:
        """Hash the content, not its framing: the boundary is another one each time."""
        digest = self._body.digest
        if digest is None:
            return
        if isinstance(event, File | Field):
            digest.part(event.name, getattr(event, "filename", ""), event.headers.get("content-type", ""))
        elif isinstance(event, Data):
            digest.data(event.data)

    async def data(self) -> AsyncIterator[bytes]:
        """Give what is left of the current part."""
        while self._in_part:
            event = await self.next()
            if event is None:
                raise BadFile(BROKEN, errors=(FieldError("$", "breaks off"),))
            if isinstance(event, Data) and event.data:
                yield event.data

    async def _cut(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._body:
                for start in range(0, len(piece), PIECE):
                    yield piece[start : start + PIECE]
        except RequestEntityTooLarge as error:
            problem = f"is larger than {self._most_mb} MB"
            raise BadFile(f"The upload {problem}.", errors=(FieldError("$", problem),)) from error
