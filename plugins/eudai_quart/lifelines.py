"""What ends long-lived connections from our side: a restart, the end of a session, a peer that died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

from eudai_core.errors import EudaiError, Unauthorized
from eudai_core.model import Identity
from eudai_quart.server.peer import Peer

if TYPE_CHECKING:
    from eudai_core.app import Application

__all__ = ["DEAD_S", "PING_S", "Ending", "Lifeline", "Lifelines"]

PING_S: Final = 20.0
"""Seconds between pings."""
DEAD_S: Final = 70.0
"""Seconds without a byte, not even a pong, after which a socket's peer counts as dead."""
CHECK_EVERY: Final = 3
"""At every so many pings, sessions are looked up again: another process may have ended them."""


class Ending(Enum):
    """Why a connection is to end."""

    RESTART = "the server is restarting"
    SIGNED_OUT = "the session has ended"


class Lifeline:
    """One connection's. ``ended`` is done when it has to end."""

    __slots__ = ("ended", "identity", "peer")

    def __init__(self, identity: Identity, peer: Peer | None) -> None:
        self.identity = identity
        self.peer = peer
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def end(self, ending: Ending) -> None:
        """End it, unless it has ended."""
        if not self.ended.done():
            self.ended.set_result(ending)


class Lifelines:
    """All of them, with one task for the pings of all."""

    def __init__(self, application: Application, *, ping_s: float = PING_S, dead_s: float = DEAD_S) -> None:
        self._application = application
        self._ping_s = ping_s
        self._dead_s = dead_s
        self._lines: set[Lifeline] = set()

    @contextmanager
    def open(self, identity: Identity, *, peer: Peer | None = None) -> Iterator[Lifeline]:
        """Give the line of a new connection; a ``peer`` is pinged, and dropped when it no longer answers."""
        line = Lifeline(identity, peer)
        if self._application.draining.is_set():
            line.end(Ending.RESTART)
        with self._application.accounts.watch_session(identity) as signed_out:
            watch = asyncio.create_task(signed_out.wait())
            watch.add_done_callback(lambda task: None if task.cancelled() else line.end(Ending.SIGNED_OUT))
            self._lines.add(line)
            try:
                yield line
            finally:
                self._lines.discard(line)
                watch.cancel()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Look after the lines until the block ends."""
        tasks = [asyncio.create_task(self._drain()), asyncio.create_task(self._beat())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _drain(self) -> None:
        await self._application.draining.wait()
        for line in self._lines:
            line.end(Ending.RESTART)

    async def _beat(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(self._ping_s)
            self.ping()
            beats += 1
            if beats % CHECK_EVERY == 0:
                await self.check_sessions()

    def ping(self) -> None:
        """Ping every peer, and drop those that have been silent for too long."""
        for line in self._lines:
            if line.peer is None:
                continue
            if line.peer.silent_for() > self._dead_s:
                line.peer.abort()
            else:
                line.peer.ping()

    async def check_sessions(self) -> None:
        """End the lines whose session is over; while storage does not answer, all stay."""
        for line in list(self._lines):
            try:
                await self._application.accounts.check_session(line.identity)
            except Unauthorized:
                line.end(Ending.SIGNED_OUT)
            except EudaiError:
                return
