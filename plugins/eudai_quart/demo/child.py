"""A server of its own, in a process of its own, over a directory that is thrown away."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from eudai_quart.demo.failure import DemoFailed

__all__ = ["Child", "started"]

START_S: Final = 90.0
MODEL_S: Final = 15.0
STOP_S: Final = 40.0
LISTENING: Final = "Listening on "
KEPT: Final = ("EUDAI_DEFAULT_MODEL", "EUDAI_OLLAMA_", "EUDAI_PLUGINS", "EUDAI_SAFE_MODE", "EUDAI_LOG_LEVEL")
"""Settings that the demo's server shares with its user's; all that says where data are kept is its own."""


@dataclass(slots=True)
class Child:
    """The server."""

    process: asyncio.subprocess.Process
    log: Path
    url: str = ""
    lines: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def model(self) -> str:
        """Return what the server says of the model that answers."""
        async with asyncio.timeout(MODEL_S):
            while not (line := await self.lines.get()).startswith("Model:"):
                pass
        return line

    async def stop(self) -> None:
        """Ask it to end, and wait.

        Raises:
            DemoFailed: it did not end well.
        """
        self.process.terminate()
        async with asyncio.timeout(STOP_S):
            code = await self.process.wait()
        if code != 0:
            raise DemoFailed(f"the server ended with {code}. {self.last_words()}")

    def last_words(self) -> str:
        """Return the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-8:]
        return "Its log ends: " + " / ".join(lines) if lines else "Its log is empty."


@asynccontextmanager
async def started(directory: Path) -> AsyncIterator[Child]:
    """Start a server and wait until it listens; it is killed at the end of the block if it still runs.

    Raises:
        DemoFailed: it ended instead.
    """
    log = directory / "server.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "eudai_core.cli", "serve", "--host", "127.0.0.1", "--port", "0"),
            *("--data-dir", str(directory / "data")),
            cwd=directory,  # a .env in the user's directory belongs to the user's server
            env=_environment(os.environ),
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    child = Child(process, log)
    reader = asyncio.create_task(_read(process, child.lines))
    try:
        async with asyncio.timeout(START_S):
            line = await child.lines.get()
        if not line.startswith(LISTENING):
            raise DemoFailed(f"the server did not start. {child.last_words()}")
        child.url = line.removeprefix(LISTENING)
        yield child
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reader


async def _read(process: asyncio.subprocess.Process, lines: asyncio.Queue[str]) -> None:
    """Pass the lines of the server on; an empty one says that there are no more."""
    if process.stdout is not None:
        async for raw in process.stdout:
            lines.put_nowait(raw.decode(errors="replace").rstrip("\n"))
    lines.put_nowait("")


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if name != "DATABASE_URL" and (not name.startswith("EUDAI_") or name.startswith(KEPT))
    }
