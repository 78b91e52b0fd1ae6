"""Request bodies: bounded in size and in time however they are sent, and never held in memory while nobody reads."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, Final, Protocol

from quart.wrappers import Request as QuartRequest
from quart.wrappers.request import Body as QuartBody
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from eudai_quart.server.peer import PEER

__all__ = ["JSON_LIMIT", "LEAST_RATE", "PATIENCE_S", "SILENCE_S", "Body", "Digest", "Request"]

JSON_LIMIT: Final = 1024 * 1024
"""The most bytes of a body that is no upload."""
SILENCE_S: Final = 30.0
"""Seconds in which the next piece of a body has to come."""
PATIENCE_S: Final = 60.0
LEAST_RATE: Final = 1024.0
"""Bytes a second that a body has to make on average once it was waited for PATIENCE_S seconds: one that drips in keeps
its connection no longer than that."""
HIGH: Final = 512 * 1024
LOW: Final = 128 * 1024


class Digest(Protocol):
    """Takes the content of an upload, part by part."""

    def part(self, *head: str) -> None:
        """Begin a part: its name, the name of its file, its media type."""
        ...

    def data(self, piece: bytes) -> None:
        """Go on with it."""
        ...


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
        self._waited = 0.0
        self._given_up = False
        self.digest: Digest | None = None
        """Where the content of an upload is hashed, for whom that is wanted."""
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
            RequestTimeout: nothing came for SILENCE_S seconds, all in all it comes too slowly, or the peer left.
        """
        self._check_size()
        if not self._data and not self._complete.is_set():
            await self._wait()
        self._check_size()
        if not self._data:
            raise StopAsyncIteration
        data = bytes(self._data)
        self._data.clear()
        if not self._complete.is_set():
            self._has_data.clear()
        self._flow()
        return data

    async def kept(self) -> bytes:
        """Return the whole body, which stays there to be read once more; within the limit, as when it is awaited."""
        whole = await self._whole()
        self._data.extend(whole)
        return whole

    def give_up(self) -> None:
        """The peer has left: who waits for more of an unfinished body waits no longer."""
        self._given_up = not self._complete.is_set()
        self._has_data.set()

    def __await__(self) -> Generator[Any, None, bytes]:
        """Return the whole body, within the limit."""
        return self._whole().__await__()

    async def _whole(self) -> bytes:
        return b"".join([piece async for piece in self])

    async def _wait(self) -> None:
        if not self._given_up:
            await self._wait_for_data()
        if self._given_up and not self._data:
            raise RequestTimeout

    async def _wait_for_data(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time()
        # The time that our own side takes is not counted: only that in which the peer is waited for.
        left = PATIENCE_S + self._received / LEAST_RATE - self._waited
        try:
            async with asyncio.timeout(min(SILENCE_S, left)):
                await self._has_data.wait()
        except TimeoutError:
            raise RequestTimeout from None
        self._waited += loop.time() - since

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
