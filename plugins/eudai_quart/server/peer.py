"""The other end of a connection, as far as the ASGI application may know it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, Protocol

__all__ = ["PEER", "Peer"]


class Peer(Protocol):
    """The TCP peer of the request or socket that is being handled."""

    def abort(self) -> None:
        """Drop the connection now, with everything that waits to be written."""
        ...

    def pause(self) -> None:
        """Read nothing more from the peer until :meth:`resume`, so that it has to wait; may be called again."""
        ...

    def resume(self) -> None:
        """Read on; may be called again."""
        ...

    def ping(self) -> None:
        """Send a WebSocket ping (RFC 6455, section 5.5.2), unless earlier writes still wait; nothing over HTTP."""
        ...

    def silent_for(self) -> float:
        """Return the seconds since the last byte came from the peer."""
        ...


PEER: Final[ContextVar[Peer | None]] = ContextVar("eudai_quart_peer", default=None)
"""The peer of the current request; None under a server that does not tell."""
