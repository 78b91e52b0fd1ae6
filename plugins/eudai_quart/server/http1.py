"""HTTP/1.1 under Hypercorn, with what it does badly or not at all.

- A request with both Content-Length and Transfer-Encoding is refused: two servers in a row may read it differently
  (RFC 9112, section 6.3).
- What is refused here is answered with problem details, as all else.
- A request target is a path, or a whole URL whose host then counts (RFC 9112, section 3.2.2); no other form is known.
- permessage-deflate is not offered: it costs more CPU than it saves on short frames.
- HTTP/2 without TLS is not spoken: WebSockets need HTTP/1.1 here, and a proxy in front speaks HTTP/2 to browsers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, cast

import h11
from hypercorn.events import Closed
from hypercorn.protocol.events import Body, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream

from eudai_quart.server.refusal import refusal
from eudai_quart.server.websocket import Stream

__all__ = ["Http1"]

_Headers = Iterable[tuple[bytes, bytes]]
_URL: Final = re.compile(rb"https?://(?P<host>[^/?#]+)(?P<path>[/?].*)?", re.IGNORECASE | re.DOTALL)


class _HttpStream(HTTPStream):
    """One request: Hypercorn's, with errors that tell what they are."""

    async def _send_error_response(self, status_code: int) -> None:
        headers, body = refusal(status_code)
        await self.send(Response(stream_id=self.stream_id, headers=headers, status_code=status_code))
        if self.scope["method"] != "HEAD":
            await self.send(Body(stream_id=self.stream_id, data=body))
        await self.send(EndBody(stream_id=self.stream_id))
        self.state = ASGIHTTPState.CLOSED


class Http1(H11Protocol):
    """One HTTP/1.1 connection; becomes a WebSocket when a client asks for it."""

    on_stream_end: Callable[[], None] | None = None

    async def stream_send(self, event: Event) -> None:
        """Send what a stream gives; tell when one has ended."""
        if isinstance(event, StreamClosed) and self.on_stream_end is not None:
            self.on_stream_end()
        await super().stream_send(event)

    def ping_bytes(self) -> bytes:
        """Return a WebSocket ping frame, or nothing when this is no open socket."""
        return self.stream.ping_bytes() if isinstance(self.stream, Stream) else b""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Stay with HTTP/1.1: an upgrade to HTTP/2 is not offered, and asking for one is no error."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = list(request.headers)
        target = _path(request.target, headers)
        if target is None or _ambiguous(headers):
            await self._refuse(400, request.method)
            await self.send(Closed())
            return
        if _upgrades(request.method, headers):
            headers = [(name, value) for name, value in headers if name != b"sec-websocket-extensions"]
            self.stream = self._new(Stream)
            self.connection = H11WSConnection(cast("h11.Connection", self.connection))
        else:
            self.stream = self._new(_HttpStream)
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=headers,
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1

    async def _send_error_response(self, status_code: int) -> None:
        """Tell what is wrong with bytes that are no HTTP, or none that is understood."""
        await self._refuse(status_code, b"")

    async def _refuse(self, status: int, method: bytes) -> None:
        headers, body = refusal(status)
        await self._send_h11_event(h11.Response(status_code=status, headers=headers))
        if method != b"HEAD":
            await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())

    def _new(self, kind: type[Stream] | type[_HttpStream]) -> Stream | _HttpStream:
        return kind(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )


def _path(target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """Return the path and query of a request target, or None; the host of a whole URL replaces that of the headers."""
    if target.startswith(b"/"):
        return target
    match = _URL.fullmatch(target)
    if match is None:
        return None
    headers[:] = [(b"host", match["host"]), *(pair for pair in headers if pair[0] != b"host")]
    path: bytes = match["path"] or b"/"
    return path if path.startswith(b"/") else b"/" + path


def _ambiguous(headers: _Headers) -> bool:
    names = {name for name, _ in headers}
    return b"content-length" in names and b"transfer-encoding" in names


def _upgrades(method: bytes, headers: _Headers) -> bool:
    asked = b""
    tokens: set[bytes] = set()
    for name, value in headers:
        if name == b"upgrade":
            asked = value.strip().lower()
        elif name == b"connection":
            tokens |= {token.strip().lower() for token in value.split(b",")}
    return method == b"GET" and asked == b"websocket" and b"upgrade" in tokens
