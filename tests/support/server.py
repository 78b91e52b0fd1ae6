"""Real servers for tests: in this process on a free port, and as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eudai_core.app import Application
from eudai_core.contracts import Clock
from eudai_quart.asgi import create_app
from eudai_quart.context import Surface
from eudai_quart.server.listener import bind, url_of
from eudai_quart.server.runner import serve
from support.databases import chosen

__all__ = ["RunningServer", "ServerProcess", "running_server", "server_process", "serving"]

START_S = 60.0
STOP_S = 30.0
SECRET = "a secret of the tests, longer than 32 bytes"


@dataclass(slots=True)
class Serving:
    """An ASGI application that is being served. ``stop`` asks it to end, as a signal would."""

    url: str
    stopping: asyncio.Event
    task: asyncio.Task[None]

    async def stop(self) -> None:
        """Stop, and wait until every connection is closed."""
        self.stopping.set()
        await asyncio.wait_for(asyncio.shield(self.task), STOP_S)


@dataclass(slots=True)
class RunningServer:
    """A server in this process: the real application, the real surface, real sockets."""

    url: str
    app: Application
    surface: Surface
    serving: Serving

    @property
    def ws_url(self) -> str:
        """The address for WebSockets."""
        return "ws" + self.url.removeprefix("http")

    async def stop(self) -> None:
        """Stop as a signal would; the application stays open until the block ends."""
        await self.serving.stop()


async def _nothing() -> None:
    """Drain an application that has nothing to drain."""


@asynccontextmanager
async def serving(app: object, *, drain: Callable[[], Awaitable[None]] = _nothing) -> AsyncIterator[Serving]:
    """Serve an ASGI application on a free port of this machine."""
    stopping, ready = asyncio.Event(), asyncio.Event()
    with bind("127.0.0.1", 0) as listener:
        task = asyncio.create_task(serve(app, listener, ready=ready.set, stopping=stopping, drain=drain))
        started = asyncio.create_task(ready.wait())
        await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        running = Serving(url_of(listener, "127.0.0.1"), stopping, task)
        try:
            yield running
        finally:
            await running.stop()


@asynccontextmanager
async def running_server(
    overrides: Mapping[str, str],
    *,
    plugins: Sequence[Any] | None = None,
    clock: Clock | None = None,
    grace: float = 1.0,
) -> AsyncIterator[RunningServer]:
    """Run a server in this process; ``overrides`` are settings by variable name, and nothing else is read."""
    settings = {"EUDAI_SECRET_KEY": SECRET, "EUDAI_AUTH_BCRYPT_COST": "4", **chosen(), **overrides}
    async with Application.open(overrides=settings, environ={}, dotenv=None, plugins=plugins, clock=clock) as app:
        surface = create_app(app)
        async with serving(surface, drain=lambda: app.drain(grace)) as running:
            yield RunningServer(running.url, app, surface, running)


@dataclass(slots=True)
class ServerProcess:
    """`eudai serve` as its users run it."""

    process: asyncio.subprocess.Process
    command: Sequence[str]
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.lines[0].removeprefix("Listening on ")

    @property
    def ws_url(self) -> str:
        """The address for WebSockets."""
        return "ws" + self.url.removeprefix("http")

    async def line(self) -> str:
        """Return the next line of its output."""
        assert self.process.stdout is not None
        raw = await asyncio.wait_for(self.process.stdout.readline(), START_S)
        if not raw:
            raise AssertionError(f"the server ended with {await self.process.wait()}: {await self.errors()}")
        self.lines.append(raw.decode().rstrip("\n"))
        return self.lines[-1]

    async def errors(self) -> str:
        """Return what it wrote to its log; only once it has ended."""
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def wait(self) -> int:
        """Return its exit code."""
        return await asyncio.wait_for(self.process.wait(), STOP_S)


@asynccontextmanager
async def server_process(
    data_dir: Path,
    *,
    environ: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    without: Sequence[str] = (),
) -> AsyncIterator[ServerProcess]:
    """Start `eudai serve` on a free port and wait until it listens; kill it at the end of the block if need be.

    ``without`` are modules that the process cannot import.
    """
    hide = f"sys.modules.update(dict.fromkeys({list(without)}))"
    main = f"import sys; {hide}; from eudai_core.cli import main; sys.exit(main())"
    ours = ("EUDAI_", "OLLAMA_", "DATABASE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-c", main, "serve", *arguments, "--port", "0", "--data-dir", str(data_dir)]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=data_dir.parent,
        env={**kept, "EUDAI_AUTH_BCRYPT_COST": "4", **(environ or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    server = ServerProcess(process, command)
    try:
        assert (await server.line()).startswith("Listening on http://")
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
