"""Reading the text of a file in a child process that can be killed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eudai_core.errors import BadFile, Unavailable
from eudai_core.model import Block

__all__ = ["DEFAULT_LIMITS", "ExtractionLimits", "extract"]

_CHILD: Final = str(Path(__file__).with_name("child.py"))
_PIECE: Final = 1 << 16
_KEPT_ENVIRONMENT: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "PYTHONDONTWRITEBYTECODE")
"""What a child may know: no key, no password, no address."""
_FROM_OUTSIDE: Final = {-getattr(signal, name, 0) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")} - {0}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """What reading one file may take: seconds, bytes of memory (where the system can limit it), bytes of output."""

    seconds: float = 60.0
    memory: int = 1 << 30
    output: int = 50 << 20


DEFAULT_LIMITS: Final = ExtractionLimits()


async def extract(target: str, path: Path, limits: ExtractionLimits = DEFAULT_LIMITS) -> Sequence[Block]:
    """Run ``target`` (``"pkg.mod:func"``) on the file in a child process and return its blocks.

    The child is killed, with all that it started, when it exceeds a limit and when this call is cancelled.

    Raises:
        BadFile: this file cannot be read, with the reason; trying again makes no sense.
        Unavailable: the child could not be started, or was ended from outside; another time it may work.
    """
    child = await _start(target, path, limits)
    try:
        async with asyncio.timeout(limits.seconds):
            output = await _output(child, limits.output)
            status = await child.wait()
    except TimeoutError as error:
        raise BadFile(f"Reading this file takes more than the {limits.seconds:g} seconds that are allowed.") from error
    finally:
        await _end(child)
    return await asyncio.to_thread(_blocks, output, status, target)


async def _start(target: str, path: Path, limits: ExtractionLimits) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # the directory of child.py is no place to import from
            _CHILD,
            target,
            str(path),
            str(limits.seconds),
            str(limits.memory),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=path.parent,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for the server; and a whole group can be killed
        )
    except OSError as error:
        raise Unavailable("The program that reads files could not be started; try again later.") from error


def _environment() -> Mapping[str, str]:
    environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    environment["PYTHONUTF8"] = "1"
    return environment


async def _output(child: asyncio.subprocess.Process, most: int) -> bytes:
    stdout = child.stdout
    if stdout is None:
        raise RuntimeError("the child was started without a pipe")
    output = bytearray()
    while piece := await stdout.read(_PIECE):
        output += piece
        if len(output) > most:
            raise BadFile(f"This file holds more text than the {most >> 20} MB that are read.")
    return bytes(output)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kill what still runs and collect it, however often this task is cancelled."""
    if child.returncode is None:  # else its number may be another process's by now
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()
    waiting = asyncio.ensure_future(child.wait())
    cancelled: asyncio.CancelledError | None = None
    while not waiting.done():
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _blocks(output: bytes, status: int, target: str) -> list[Block]:
    """Make blocks of the child's lines. Runs in a thread."""
    blocks: list[Block] = []
    for line in output.splitlines():
        fields = _fields(line)
        if fields.get("end") is True:
            return blocks
        if "error" in fields:
            _log.info("%s gave up on a file: %s\n%s", target, fields["error"], fields.get("trace", ""))
            raise BadFile(str(fields["error"])[:500])
        blocks.append(_block(fields))
    raise _broke_off(status)


def _fields(line: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadFile("The program that reads this type of file wrote something that makes no sense.") from error
    return fields if isinstance(fields, dict) else {}


def _block(fields: Mapping[str, Any]) -> Block:
    text, page, heading, line = (fields.get(name) for name in ("text", "page", "heading", "line"))
    if (
        isinstance(text, str)
        and isinstance(heading, str | None)
        and all(number is None or (type(number) is int and number > 0) for number in (page, line))
    ):
        return Block(text, page=page, heading=heading, line=line)
    raise BadFile("The program that reads this type of file wrote something that makes no sense.")


def _broke_off(status: int) -> BadFile | Unavailable:
    if status in _FROM_OUTSIDE:
        return Unavailable("Reading this file was ended from outside; try again later.")
    if status < 0:
        return BadFile("The program that reads this type of file crashed on it: the file may be damaged.")
    return Unavailable("The program that reads files did not work; look at the server's installation.")
