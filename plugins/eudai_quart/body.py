"""Request bodies: bounded in size and in time however they are sent, and never held in memory while nobody reads."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, Final

from quart.wrappers import Request as QuartRequest
from quart.wrappers.request import Body as QuartBody
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from eudai_quart.server.peer import PEER

__all__ = ["JSON_LIMIT", "SILENCE_S", "Body", "Request"]

JSON_LIMIT: Final = 1024 * 1024
"""The most bytes of a body that is no upload."""
SILENCE_S: Final = 30.0
"""Seconds in which the next piece of a body has to come."""
HIGH: Final = 512 * 1024
LOW: Final = 128 * 1024


class Body(QuartBody):
    """A body that is read in pieces, or awaited.

    Quart 0.22 does not count the bytes of a chunked body that is read in pieces, sets no time limit on its pieces, and
    keeps all that came while its reader is busy. Here the peer waits when much is unread.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        """Take the declared length; the limit is JSON_LIMIT until a handler says otherwise."""
        super().__init__(None, None)
        self.limit = JSON_LIMIT
        self.declared = expected_content_length
        self._received = 0
        self._paused = False
        self._peer = PEER.get()

    def append(self, data: bytes) -> None:
        """Take what came; called by the server."""
        if not data:
            return
        self._received += len(data)
        self._data.extend(data)
        self._has_data.set()
        if len(self._data) > HIGH and self._peer is not None:
            self._peer.pause()
            self._paused = True

    def __aiter__(self) -> Body:
        """Read in pieces."""
        return self

    async def __anext__(self) -> bytes:
        """Return what has come since.

        Raises:
            RequestEntityTooLarge: the body is, or says that it is, over the limit.
            RequestTimeout: nothing came for SILENCE_S seconds.
        """
        self._check_size()
        if not self._data and not self._complete.is_set():
            try:
                async with asyncio.timeout(SILENCE_S):
                    await self._has_data.wait()
            except TimeoutError:
                raise RequestTimeout from None
        self._check_size()
        if not self._data:
            raise StopAsyncIteration
        data = bytes(self._data)
        self._data.clear()
        if not self._complete.is_set():
            self._has_data.clear()
        self._flow()
        return data

    def __await__(self) -> Generator[Any, None, bytes]:
        """Return the whole body, within the limit."""
        return self._whole().__await__()

    async def _whole(self) -> bytes:
        return b"".join([piece async for piece in self])

    def _check_size(self) -> None:
        if max(self._received, self.declared or 0) > self.limit:
            raise RequestEntityTooLarge

    def _flow(self) -> None:
        if self._paused and self._peer is not None and len(self._data) < LOW:
            self._paused = False
            self._peer.resume()


class Request(QuartRequest):
    """Quart's request with a Body of ours."""

    body_class = Body
