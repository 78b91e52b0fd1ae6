"""Taking connections and requests, and keeping a record of what came and how it ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from eudai_core.testing._ollama.http import Connection, MalformedError, Request
from eudai_core.testing._ollama.signals import Signal

__all__ = ["Listener", "Received"]


@dataclass(slots=True, eq=False)
class Received:
    """A request that came: ``body`` is its JSON (None: it was none), ``status`` what was answered, if anything yet.

    ``left`` says that the client closed the connection before the answer was complete, ``lines`` how many lines of a
    streamed answer had been sent, ``ended`` that nothing more will be.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    status: int | None = None
    left: bool = False
    ended: bool = False
    lines: int = 0


class Listener:
    """Listens on 127.0.0.1 and has each request answered by ``answer``, which is cancelled when its client leaves."""

    def __init__(self, port: int, answer: Callable[[Request, Received, Connection], Awaitable[None]]) -> None:
        self.port = port
        self.requests: list[Received] = []
        self.signal = Signal()
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: set[Connection] = set()

    async def accept(self) -> None:
        """Listen, on the same port as before."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Stop listening and drop idle connections; answers go on, and their connections are dropped after them."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._idle):
            connection.abort()
        await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Stop listening and drop every connection."""
        await self.refuse()
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks.difference_update(tasks)  # from 3.12 on, gather does not yield when all of them are done

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        if self._server is None:
            connection.abort()
            return
        task = asyncio.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before it began closes nothing.
        task.add_done_callback(lambda _: connection.abort())

    async def _serve(self, connection: Connection) -> None:
        pump = asyncio.create_task(connection.pump())
        try:
            while not connection.closed and self._server is not None:
                self._idle.add(connection)
                request = await connection.request()
                self._idle.discard(connection)
                if request is None:
                    return
                await self._one(request, connection)
        except (MalformedError, ConnectionError):
            pass  # nothing sensible can be answered
        finally:
            self._idle.discard(connection)
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            await connection.close(reset=True)

    async def _one(self, request: Request, connection: Connection) -> None:
        seen = self._record(request)
        answering = asyncio.ensure_future(self._answer(request, seen, connection))
        leaving = asyncio.create_task(connection.left.wait())
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
            seen.left = not answering.done()
        finally:
            answering.cancel()
            leaving.cancel()
            result, _ = await asyncio.gather(answering, leaving, return_exceptions=True)
            seen.left = seen.left or isinstance(result, ConnectionError)
            seen.status = connection.status
            seen.ended = True
            self.signal.notify()
        if isinstance(result, Exception):
            raise result

    def _record(self, request: Request) -> Received:
        body: Any = None
        with suppress(ValueError):
            body = json.loads(request.body)
        seen = Received(request.method, request.path, request.headers, body)
        if request.path != "/_script":
            self.requests.append(seen)
        self.signal.notify()
        return seen
