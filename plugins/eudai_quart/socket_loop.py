"""What all WebSockets of ours do: read and write until either side ends, and close with a code that says why."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, Protocol

from eudai_core.errors import EudaiError, FieldError, InvalidInput
from eudai_quart import problems
from eudai_quart.lifelines import Ending, Lifeline
from eudai_quart.wire.decode import decode

__all__ = ["CLOSING", "FAULT", "MESSAGES", "TOO_MANY", "WINDOW_S", "SocketLoop", "Wire", "event_of"]

MESSAGES: Final = 30
WINDOW_S: Final = 10.0
"""A client may send MESSAGES messages in WINDOW_S seconds."""
CLOSING: Final = {Ending.RESTART: 1012, Ending.SIGNED_OUT: 4401}
FAULT: Final = 1011
TOO_MANY: Final = 4429
_log = logging.getLogger(__name__)


class Wire(Protocol):
    """The socket itself."""

    async def receive(self) -> str | bytes:
        """Return the next message."""
        ...

    async def send(self, data: str) -> None:
        """Send a message; returns when the peer reads fast enough."""
        ...

    async def close(self, code: int, reason: str = "") -> None:
        """Close."""
        ...


class _Flood(Exception):  # noqa: N818 -- a signal from the reader to the loop
    """The client sent too many messages."""


class SocketLoop(ABC):
    """One open socket. What its client asked for goes on when it is gone."""

    def __init__(self, wire: Wire, line: Lifeline) -> None:
        self._wire = wire
        self._line = line
        self._times: deque[float] = deque(maxlen=MESSAGES)

    async def run(self) -> None:
        """Serve the socket, and close it unless the peer did."""
        reader, writer = asyncio.create_task(self._read()), asyncio.create_task(self._write())
        ended: set[asyncio.Future[Any]] = {reader, writer, self._line.ended}
        try:
            await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reader, writer):
                task.cancel()
            ends = await asyncio.gather(reader, writer, return_exceptions=True)
        code, reason = self._closing(ends)
        await self._wire.close(code, reason)

    @abstractmethod
    async def _write(self) -> None:
        """Send what is due, for ever."""

    @abstractmethod
    async def _do(self, message: str | bytes) -> None:
        """Do what a message asks for; an error is told to the client, and ends nothing."""

    @abstractmethod
    async def _tell(self, error: EudaiError) -> None:
        """Tell the client what is wrong with its last message."""

    def _reason(self, error: BaseException) -> tuple[int, str] | None:
        """Return code and words for an error of this kind of socket that ends it, or None for a fault of ours."""
        del error
        return None

    def _closing(self, ends: Iterable[BaseException | None]) -> tuple[int, str]:
        if self._line.ended.done():
            ending = self._line.ended.result()
            return CLOSING[ending], ending.value
        for error in ends:
            if isinstance(error, _Flood):
                return TOO_MANY, "too many messages"
            if error is not None and (known := self._reason(error)) is not None:
                return known
            if isinstance(error, Exception):
                _log.error("A socket failed.", exc_info=error)
        return FAULT, "something went wrong here"

    async def _read(self) -> None:
        while True:
            message = await self._wire.receive()
            now = time.monotonic()
            if len(self._times) == MESSAGES and now - self._times[0] < WINDOW_S:
                raise _Flood
            self._times.append(now)
            await self._take(message)

    async def _take(self, message: str | bytes) -> None:
        try:
            await self._do(message)
        except EudaiError as error:
            problems.log(error)
            await self._tell(error)
        except Exception as error:  # a fault of ours must not end a socket that may be in the middle of an answer
            problems.log(error)
            await self._tell(problems.INTERNAL)


def event_of(message: str | bytes, kind: Any) -> Any:
    """Return a client's message as an event.

    Raises:
        InvalidInput: it is none.
    """
    if isinstance(message, bytes):
        problem = "must be text frames"
        raise InvalidInput(f"Events {problem}, in JSON.", errors=(FieldError("$", problem),))
    return decode(message, kind)
