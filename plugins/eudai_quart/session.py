"""One open WebSocket of a conversation (contract, section 3)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

import msgspec
from msgspec import UNSET

from eudai_core.chat import Accepted, Chat, Subscription
from eudai_core.errors import EudaiError, FieldError, InvalidInput, NotFound
from eudai_quart import problems
from eudai_quart.lifelines import Ending, Lifeline
from eudai_quart.wire import events
from eudai_quart.wire.decode import decode
from eudai_quart.wire.encode import as_text

if TYPE_CHECKING:
    from eudai_core.model import Identity

__all__ = ["MESSAGES", "WINDOW_S", "Session", "Wire"]

MESSAGES: Final = 30
WINDOW_S: Final = 10.0
"""A client may send MESSAGES messages in WINDOW_S seconds."""
CLOSING: Final = {Ending.RESTART: 1012, Ending.SIGNED_OUT: 4401}
FAULT: Final = 1011
NOT_ALLOWED: Final = 4403
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


class _Flood(Exception):  # noqa: N818 -- a signal from the reader to the session
    """The client sent too many messages."""


class Session:
    """Reads commands and writes events until either side ends.

    Answers are not the session's: what it asked for goes on when it is gone.
    """

    def __init__(
        self,
        wire: Wire,
        chat: Chat,
        identity: Identity,
        conversation_id: UUID,
        subscription: Subscription,
        line: Lifeline,
    ) -> None:
        self._wire = wire
        self._chat = chat
        self._identity = identity
        self._conversation_id = conversation_id
        self._subscription = subscription
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

    def _closing(self, ends: Iterable[BaseException | None]) -> tuple[int, str]:
        if self._line.ended.done():
            ending = self._line.ended.result()
            return CLOSING[ending], ending.value
        for error in ends:
            if isinstance(error, _Flood):
                return TOO_MANY, "too many messages"
            if isinstance(error, NotFound):
                return NOT_ALLOWED, "the conversation was deleted"
            if isinstance(error, Exception):
                _log.error("A socket of conversation %s failed.", self._conversation_id, exc_info=error)
        return FAULT, "something went wrong here"

    async def _write(self) -> None:
        due, send = self._subscription.next, self._wire.send
        while True:
            for frame in await due():
                await send(frame.encoded(as_text))

    async def _read(self) -> None:
        while True:
            message = await self._wire.receive()
            now = time.monotonic()
            if len(self._times) == MESSAGES and now - self._times[0] < WINDOW_S:
                raise _Flood
            self._times.append(now)
            await self._take(message)

    async def _take(self, message: str | bytes) -> None:
        client_id = None
        try:
            event = _decode(message)
            client_id = getattr(event, "client_id", None)
            await HANDLERS[type(event)](self, event)
        except EudaiError as error:
            problems.log(error)
            await self._tell(error, client_id)
        except Exception as error:  # a fault of ours must not end a socket that may be in the middle of an answer
            problems.log(error)
            await self._tell(problems.INTERNAL, client_id)

    async def _user_message(self, event: events.UserMessage) -> None:
        accepted = await self._chat.send(
            self._identity,
            self._conversation_id,
            content=event.content,
            client_id=event.client_id,
            parent="leaf" if event.parent_id is UNSET else event.parent_id,
            model=event.model,
            options=event.options,
        )
        await self._acknowledge(accepted)

    async def _regenerate(self, event: events.Regenerate) -> None:
        accepted = await self._chat.regenerate(
            self._identity,
            self._conversation_id,
            message_id=event.message_id,
            client_id=event.client_id,
            model=event.model,
        )
        await self._acknowledge(accepted)

    async def _continue(self, event: events.Continue) -> None:
        accepted = await self._chat.resume_answer(
            self._identity, self._conversation_id, message_id=event.message_id, client_id=event.client_id
        )
        await self._acknowledge(accepted)

    async def _stop(self, event: events.Stop) -> None:
        await self._chat.stop(self._identity, self._conversation_id, run_id=event.run_id)

    async def _resume(self, event: events.Resume) -> None:
        await self._subscription.seek(event.after)

    async def _ping(self, _: events.Ping) -> None:
        await self._wire.send('{"type":"pong"}')

    async def _acknowledge(self, accepted: Accepted) -> None:
        await self._wire.send(as_text(accepted.ack().payload))
        queued = accepted.queued()
        if queued is not None:
            await self._wire.send(as_text(queued.payload))

    async def _tell(self, error: EudaiError, client_id: str | None) -> None:
        problem = msgspec.to_builtins(problems.problem_of(error))
        payload = {**problem, "type": "error", "conversation_id": str(self._conversation_id)}
        if client_id is not None:
            payload["client_id"] = client_id
        await self._wire.send(as_text(payload))


HANDLERS: Final[Mapping[type[Any], Callable[[Session, Any], Awaitable[None]]]] = {
    events.UserMessage: Session._user_message,
    events.Regenerate: Session._regenerate,
    events.Continue: Session._continue,
    events.Stop: Session._stop,
    events.Resume: Session._resume,
    events.Ping: Session._ping,
}


def _decode(message: str | bytes) -> events.ClientEvent:
    if isinstance(message, bytes):
        problem = "must be text frames"
        raise InvalidInput(f"Events {problem}, in JSON.", errors=(FieldError("$", problem),))
    event: events.ClientEvent = decode(message, events.ClientEvent)
    return event
