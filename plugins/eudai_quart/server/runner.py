"""Serving an ASGI application with Hypercorn's protocols, and stopping for sure.

Hypercorn's own server waits for ever for open connections on Python 3.12 and later when it is told to stop
(hypercorn issue 308). Here the loop that accepts and the loop that ends are ours; parsing is Hypercorn's.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, ASGIFramework, LifespanState
from hypercorn.utils import wrap_app

from eudai_quart.server.connection import Connection

__all__ = ["CLOSE_S", "serve"]

CLOSE_S: Final = 2.0
"""Seconds that open connections get to end once the application has drained."""
MESSAGE_BYTES: Final = 1024 * 1024
IDLE_S: Final = 75.0
BACKLOG: Final = 1024
_log = logging.getLogger(__name__)


async def serve(
    app: object,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    stopping: asyncio.Event,
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Serve until ``stopping`` is set, then drain and close everything.

    ``ready`` is called when connections are answered. ``drain`` is awaited once after ``stopping``: new connections are
    still answered meanwhile, so that a load balancer can ask how the server is. What is open after that gets
    CLOSE_S seconds and is then dropped.
    """
    server = _Server(wrap_app(cast("ASGIFramework", app), 0, "asgi"), _config())
    lifespan = asyncio.create_task(server.lifespan.handle_lifespan())
    try:
        await server.lifespan.wait_for_startup()
        if lifespan.done():
            lifespan.result()
        accepting = await asyncio.start_server(server.accept, sock=listener, backlog=BACKLOG)
        ready()
        try:
            await stopping.wait()
            await drain()
        finally:
            accepting.close()
            await server.close()
        await server.lifespan.wait_for_shutdown()
    finally:
        lifespan.cancel()
        await asyncio.gather(lifespan, return_exceptions=True)


@dataclass(slots=True)
class _Server:
    """The connections of one application."""

    app: AppWrapper
    config: Config
    context: WorkerContext = field(default_factory=lambda: WorkerContext(None))
    state: LifespanState = field(default_factory=dict)
    connections: dict[asyncio.Task[None], Connection] = field(default_factory=dict)
    lifespan: Lifespan = field(init=False)

    def __post_init__(self) -> None:
        self.lifespan = Lifespan(self.app, self.config, asyncio.get_running_loop(), self.state)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection in a task of its own."""
        loop = asyncio.get_running_loop()
        connection = Connection(self.app, loop, self.config, self.context, self.state, reader, writer)
        task = loop.create_task(connection.run())
        self.connections[task] = connection
        task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Let idle connections go, wait a moment for the others, then drop them."""
        await self.context.terminated.set()
        await self._wait()
        for connection in self.connections.values():
            connection.abort()
        await self._wait()
        for task in self.connections:
            task.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    async def _wait(self) -> None:
        if self.connections:
            await asyncio.wait(list(self.connections), timeout=CLOSE_S)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.connections.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("A connection ended with an error.", exc_info=error)


def _config() -> Config:
    config = Config()
    settings: dict[str, Any] = {
        "accesslog": None,
        "errorlog": logging.getLogger("hypercorn.error"),
        "include_server_header": False,
        "keep_alive_timeout": IDLE_S,
        "keep_alive_max_requests": 100_000,
        "websocket_max_message_size": MESSAGE_BYTES,
        "websocket_ping_interval": None,
    }
    for name, value in settings.items():
        setattr(config, name, value)
    return config
