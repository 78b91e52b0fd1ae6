"""Serving with uvicorn instead, for those who have it: faster with plain requests, less careful with peers.

Uvicorn closes every socket by itself when it stops, and does not tell the application who its peer is; dead and slow
peers are found by uvicorn's own pings.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from eudai_core.errors import ConfigError
from eudai_quart.server.runner import MESSAGE_BYTES

__all__ = ["serve"]


async def serve(
    app: object,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    stopping: asyncio.Event,
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Serve until ``stopping`` is set; see eudai_quart.server.runner.serve.

    Raises:
        ConfigError: uvicorn is not installed.
    """
    server = _server(app, ready)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            await drain()
    finally:
        stop.cancel()
        server.should_exit = True
        await serving


def _server(app: object, ready: Callable[[], None]) -> Any:
    try:
        uvicorn: Any = importlib.import_module("uvicorn")
    except ImportError as error:
        raise ConfigError("uvicorn is not installed: pip install 'eudai[uvicorn]', or leave out --server.") from error

    class Server(uvicorn.Server):  # type: ignore[misc]  # uvicorn need not be installed, so its types are not known
        """Uvicorn's server with our signals, which tells when it answers."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            ready()

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=2,
    )
    return Server(config)
