"""WebSockets between Quart and us: no waiting list without bounds, and a short way out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from quart.asgi import ASGIWebsocketConnection
from quart.wrappers import Websocket

from eudai_quart.server.peer import PEER, Peer

__all__ = ["Socket", "SocketConnection"]

HIGH: Final = 16
LOW: Final = 4
Message = str | bytes
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class FlowQueue(asyncio.Queue[Message]):
    """Messages that nobody has read yet; when there are many, the peer has to wait."""

    def __init__(self, peer: Peer | None) -> None:
        super().__init__()
        self._peer = peer

    def _put(self, item: Message) -> None:
        super()._put(item)
        if self.qsize() >= HIGH and self._peer is not None:
            self._peer.pause()

    def _get(self) -> Message:
        item: Message = super()._get()
        if self.qsize() == LOW and self._peer is not None:
            self._peer.resume()
        return item


class SocketConnection(ASGIWebsocketConnection):
    """Quart's, without its signals per message, and with empty frames read as what they are."""

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Serve one socket."""
        self.queue = FlowQueue(PEER.get())
        await super().__call__(receive, send)

    async def handle_messages(self, receive: Receive) -> None:
        """Take messages until the peer leaves."""
        while True:
            event = await receive()
            if event["type"] == "websocket.receive":
                text = event.get("text")
                self.queue.put_nowait(text if text is not None else event.get("bytes") or b"")
            elif event["type"] == "websocket.disconnect":
                return

    async def send_data(self, send: Send, data: str | bytes) -> None:
        """Send one message."""
        if isinstance(data, str):
            await send({"type": "websocket.send", "bytes": None, "text": data})
        else:
            await send({"type": "websocket.send", "bytes": data, "text": None})


class Socket(Websocket):
    """Quart's, with a send that does nothing else; accept comes first."""

    async def send(self, data: str | bytes) -> None:
        """Send a message."""
        await self._send(data)
