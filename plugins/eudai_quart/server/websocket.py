"""WebSocket frames under Hypercorn (RFC 6455): bounded messages, close codes for broken ones, pings of our own.

Hypercorn 0.18 holds an oversize message whole before it closes with 1009, and closes without a code when a frame is
broken; both are mended here.
"""

from __future__ import annotations

from io import StringIO
from typing import Any, Final

from hypercorn.protocol.events import Body, EndBody, Response, StreamClosed
from hypercorn.protocol.ws_stream import ASGIWebsocketState, FrameTooLargeError, WebsocketBuffer, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from eudai_quart.server.refusal import refusal

__all__ = ["Stream"]

_NOT_SENT: Final = frozenset({CloseReason.NO_STATUS_RCVD, CloseReason.ABNORMAL_CLOSURE})


class BoundedBuffer(WebsocketBuffer):
    """Collects the pieces of one message; nothing of a message over the limit, in bytes, is kept."""

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length)
        self._bytes = 0

    def extend(self, event: Message[Any]) -> None:
        """Add a piece.

        Raises:
            FrameTooLargeError: the message is over the limit.
        """
        size = len(event.data.encode()) if isinstance(event, TextMessage) else len(event.data)
        if self._bytes + size > self.max_length:
            self.value = None
            raise FrameTooLargeError
        self._bytes += size
        if self.value is None and isinstance(event, TextMessage):
            self.value = StringIO()
        super().extend(event)

    def clear(self) -> None:
        """Begin a new message."""
        super().clear()
        self._bytes = 0


class Stream(WSStream):
    """One WebSocket: Hypercorn's, with the handling of incoming frames replaced."""

    def __init__(self, *args: Any) -> None:
        """Take what Hypercorn gives a stream."""
        super().__init__(*args)
        self.buffer = BoundedBuffer(self.config.websocket_max_message_size)

    def ping_bytes(self) -> bytes:
        """Return a ping frame, or nothing when the socket is not open."""
        if self.state is not ASGIWebsocketState.CONNECTED or self.closed:
            return b""
        try:
            return self.connection.send(Ping())
        except LocalProtocolError:
            return b""

    async def _send_error_response(self, status_code: int) -> None:
        status = 426 if status_code == 400 and self.handshake.version not in {None, b"13"} else status_code
        headers, body = refusal(status)
        await self.send(Response(stream_id=self.stream_id, headers=headers, status_code=status))
        await self.send(Body(stream_id=self.stream_id, data=body))
        await self.send(EndBody(stream_id=self.stream_id))
        # Hypercorn would leave the connection open for ever, with nobody who reads or closes it.
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if self.closed:
                return
            if isinstance(event, Message):
                await self._message(event)
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                await self._closed_by_peer(event)

    async def _message(self, event: Message[Any]) -> None:
        if self.state is not ASGIWebsocketState.CONNECTED:
            return  # we closed already: what still comes is not read
        try:
            self.buffer.extend(event)
        except FrameTooLargeError:
            await self._end(CloseReason.MESSAGE_TOO_BIG)
            return
        if event.message_finished and self.app_put is not None:
            await self.app_put(self.buffer.to_message())
            self.buffer.clear()

    async def _closed_by_peer(self, event: CloseConnection) -> None:
        if self.connection.state is ConnectionState.REMOTE_CLOSING:
            await self._send_wsproto_event(event.response())
        elif self.connection.state is ConnectionState.OPEN and event.code not in _NOT_SENT:
            # wsproto reports a frame that breaks the protocol as a close with the code that the peer is owed.
            await self._send_wsproto_event(CloseConnection(code=event.code))
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _end(self, code: CloseReason) -> None:
        await self._send_wsproto_event(CloseConnection(code=code))
        await self.send(StreamClosed(stream_id=self.stream_id))
