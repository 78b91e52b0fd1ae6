"""One TCP connection under Hypercorn: bounded writes, a gentle close, and a handle for the application.

Hypercorn waits for ever for a peer that does not read, and closes at once where bytes of the peer are still on their
way, which makes its kernel throw away the answer (RFC 9112, section 9.6, tells of this).
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final, cast

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol import ProtocolWrapper
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from eudai_quart.server.http1 import Http1
from eudai_quart.server.peer import PEER

__all__ = ["HEAD_S", "LINGER_S", "STALLED_S", "Connection"]

STALLED_S: Final = 30.0
"""Seconds that a write may wait for the peer to read before the connection is dropped."""
LINGER_S: Final = 2.0
"""Seconds that are spent on reading, and throwing away, what a peer still sends after the last answer."""
HEAD_S: Final = 10.0
"""Seconds in which the head of a connection's first request has to be there."""


class Connection(TCPServer):
    """One connection. It is the Peer (see eudai_quart.server.peer) of its requests."""

    def __init__(self, *args: Any) -> None:
        """Take what Hypercorn gives a connection."""
        super().__init__(*args)
        self._transport = cast("asyncio.Transport", self.writer.transport)
        self._heard = self.loop.time()
        self._lingering = False
        self._over = False
        self._reading = asyncio.Event()
        self._reading.set()
        self._patience: asyncio.TimerHandle | None = None
        self._http: Http1

    async def run(self) -> None:
        """Serve until either side closes."""
        PEER.set(self)
        _keep_alive(self.writer)
        try:
            async with TaskGroup(self.loop) as group:
                self._task_group = group
                self._http = self._protocol(group)
                self.protocol = cast("ProtocolWrapper", self._http)
                await self.idle_task.restart(group, self._idle_timeout)
                await self._read_data()
                # The peer has closed: Hypercorn would keep our side open for as long as an idle peer may be silent.
                self._over = True
                await self.idle_task.stop()
        except* OSError:
            pass  # the peer is gone: there is nobody to tell
        finally:
            await self._close()

    def abort(self) -> None:
        """See Peer."""
        self._reading.set()
        self._transport.abort()

    def pause(self) -> None:
        """See Peer."""
        # The transport itself is asyncio's StreamReader's to pause, which it does when nobody reads from it.
        if not self._lingering:
            self._reading.clear()

    def resume(self) -> None:
        """See Peer."""
        self._reading.set()

    def ping(self) -> None:
        """See Peer."""
        if self._transport.get_write_buffer_size() == 0 and (frame := self._http.ping_bytes()):
            # Not awaited and without the send lock: a control frame may stand between any two others.
            self._transport.write(frame)

    def silent_for(self) -> float:
        """See Peer."""
        return self.loop.time() - self._heard

    async def protocol_send(self, event: Event) -> None:
        """Write, or close."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            self._linger()
        elif not self._over:
            await super().protocol_send(event)

    async def _write(self, data: bytes) -> None:
        async with self.send_lock:
            try:
                self.writer.write(data)
                if self._transport.get_write_buffer_size() == 0 and not self._transport.is_closing():
                    return  # all of it is with the kernel already: the common case, and the hot path
                async with asyncio.timeout(STALLED_S):
                    await self.writer.drain()
            except TimeoutError:
                self.abort()
            except (ConnectionError, RuntimeError):
                await self.protocol.handle(Closed())

    async def _read_data(self) -> None:
        while not self.reader.at_eof():
            await self._reading.wait()
            try:
                data = await self.reader.read(65536)
            except OSError:
                break
            self._heard = self.loop.time()
            if not self._lingering:
                await self.protocol.handle(RawData(data))
        await self.protocol.handle(Closed())

    def _linger(self) -> None:
        """Send the end of our side, then only wait for the end of the other."""
        if self._lingering or self._transport.is_closing():
            return
        self._lingering = True
        self.resume()
        if not self._transport.can_write_eof():
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except (OSError, RuntimeError):
            self.abort()
        else:
            self._give_up_at(self.loop.time() + STALLED_S)

    def _give_up_at(self, end: float) -> None:
        """Drop the connection in a moment; while our bytes still wait to be sent, not before ``end``."""

        def give_up() -> None:
            if self._transport.get_write_buffer_size() and self.loop.time() < end:
                self._give_up_at(end)
            else:
                self.abort()

        self._patience = self.loop.call_later(LINGER_S, give_up)

    async def _close(self) -> None:
        if self._patience is None:
            self._give_up_at(self.loop.time() + STALLED_S)
        try:
            await super()._close()
        except OSError:
            pass  # the peer reset the connection: it is closed
        finally:
            if self._patience is not None:
                self._patience.cancel()

    async def _initiate_server_close(self) -> None:
        await self.protocol.handle(Closed())
        self._transport.close()

    async def _idle_timeout(self) -> None:
        seconds = self.config.keep_alive_timeout if self._http.keep_alive_requests else HEAD_S
        try:
            async with asyncio.timeout(seconds):
                await self.context.terminated.wait()
        except TimeoutError:
            pass
        await asyncio.shield(self._initiate_server_close())

    def _protocol(self, group: TaskGroup) -> Http1:
        connection = self.writer.get_extra_info("socket")
        http = Http1(
            self.app,
            self.config,
            self.context,
            group,
            ConnectionState(self.state),
            self.writer.get_extra_info("ssl_object") is not None,
            parse_socket_addr(connection.family, connection.getpeername()),
            parse_socket_addr(connection.family, connection.getsockname()),
            self.protocol_send,
        )
        http.on_stream_end = self.resume
        return http


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Let the kernel look after peers that vanished without a word, behind the pings of the sockets."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
