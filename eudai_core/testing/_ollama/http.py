"""A small HTTP/1.1 server side over asyncio streams: what Go's net/http shows to a client, and faults on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

__all__ = ["Connection", "MalformedError", "Request"]

_MAX_HEAD = 64 * 1024
_READ = 64 * 1024


class MalformedError(Exception):
    """The bytes are no HTTP request that this server reads."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: header names in lower case, the body whole."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One client's connection. A task of its own reads all the time, so that a client that leaves is noticed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self.left = asyncio.Event()
        """Set once the client has closed its side."""
        self.status: int | None = None
        """The status of the answer whose head was sent last, or None before it."""
        self.closed = False

    async def pump(self) -> None:
        """Read until the client closes."""
        try:
            while data := await self._reader.read(_READ):
                self._buffer += data
                self._arrived.set()
        except ConnectionError:
            pass  # a reset is a way of leaving
        finally:
            self.left.set()
            self._arrived.set()

    async def request(self) -> Request | None:
        """Return the next request, or None when the client is gone.

        Raises:
            MalformedError: what came is no HTTP.
        """
        head = await self._until(b"\r\n\r\n")
        if head is None:
            return None
        lines = head.decode("latin-1").split("\r\n")
        try:
            method, target, _ = lines[0].split(" ")
            pairs = [line.split(":", 1) for line in lines[1:] if line]
            headers = {name.strip().lower(): value.strip() for name, value in pairs}
            length = int(headers.get("content-length", "0"))
        except ValueError as error:
            raise MalformedError("malformed request head") from error
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        body = await (self._chunked() if chunked else self._exactly(length))
        self.status = None
        return None if body is None else Request(method, target.partition("?")[0], headers, body)

    async def answer(self, status: int, body: bytes, content_type: str) -> None:
        """Send a whole answer; an empty ``content_type`` sends none, as Go does with an empty body."""
        await self._head(status, content_type, f"Content-Length: {len(body)}", body)

    async def begin(self, content_type: str) -> None:
        """Send the head of a chunked answer with status 200."""
        await self._head(200, content_type, "Transfer-Encoding: chunked", b"")

    async def chunk(self, data: bytes) -> None:
        """Send one chunk."""
        await self._send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        """End a chunked answer."""
        await self._send(b"0\r\n\r\n")

    async def close(self, *, reset: bool = False) -> None:
        """Close the connection, at once and with a reset when asked; safe to call twice."""
        self.closed = True
        if reset:
            self._writer.transport.abort()
        self._writer.close()
        with suppress(ConnectionError):  # the other side was faster
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Drop the connection now."""
        self.closed = True
        self._writer.transport.abort()

    async def _head(self, status: int, content_type: str, framing: str, body: bytes) -> None:
        self.status = status
        lines = [f"HTTP/1.1 {status} {_phrase(status)}"]
        if content_type:
            lines.append(f"Content-Type: {content_type}")
        lines += [f"Date: {formatdate(usegmt=True)}", framing]
        await self._send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def _more(self) -> bool:
        if self.left.is_set():
            return False
        self._arrived.clear()
        await self._arrived.wait()
        return True

    async def _until(self, mark: bytes) -> bytes | None:
        while (at := self._buffer.find(mark)) < 0:
            if len(self._buffer) > _MAX_HEAD:
                raise MalformedError("the request head is too large")
            if not await self._more():
                return None
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return found

    async def _exactly(self, length: int) -> bytes | None:
        while len(self._buffer) < length:
            if not await self._more():
                return None
        found = bytes(self._buffer[:length])
        del self._buffer[:length]
        return found

    async def _chunked(self) -> bytes | None:
        body = bytearray()
        while True:
            size_line = await self._until(b"\r\n")
            if size_line is None:
                return None
            size = int(size_line.split(b";")[0], 16)
            piece = await self._exactly(size + 2)
            if piece is None:
                return None
            if size == 0:
                return bytes(body)
            body += piece[:-2]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "status code " + str(status)
