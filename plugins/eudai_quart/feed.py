"""A user's events over both transports. Whoever may have missed one is sent away, comes back, and looks again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec

from eudai_core.errors import EudaiError, FieldError, InvalidInput
from eudai_core.model import Identity
from eudai_core.services.user_events import UserEvents
from eudai_quart import problems
from eudai_quart.lifelines import Lifeline, Lifelines
from eudai_quart.socket_loop import SocketLoop, Wire, event_of
from eudai_quart.sse import BEAT, HEARTBEAT_S
from eudai_quart.wire import changes, events
from eudai_quart.wire.encode import as_event, as_text

__all__ = ["MISSED_SOME", "Feed", "user_events"]

MISSED_SOME: Final = 1013
"""The close code for whoever has to look again."""
Changes = AsyncIterator[Mapping[str, Any] | None]


async def user_events(feed: UserEvents, lifelines: Lifelines, identity: Identity) -> AsyncGenerator[bytes]:
    """Give the caller's events, as server-sent ones, until the client leaves, missed some, or may not be here."""
    with lifelines.open(identity) as line:
        async with feed.subscribe(identity) as messages:
            yield BEAT
            waiting: asyncio.Future[Mapping[str, Any] | None] = asyncio.ensure_future(anext(messages, None))
            try:
                while not line.ended.done():
                    either: set[asyncio.Future[Any]] = {waiting, line.ended}
                    await asyncio.wait(either, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
                    if not waiting.done():
                        yield BEAT
                        continue
                    message = waiting.result()
                    if message is None:
                        return
                    waiting = asyncio.ensure_future(anext(messages, None))
                    yield as_event(message)
            finally:
                waiting.cancel()
                with suppress(asyncio.CancelledError):
                    await waiting


class _Missed(Exception):  # noqa: N818 -- a signal from the writer to the loop
    """Events may be missing, or the bus is closed."""


class Feed(SocketLoop):
    """A WebSocket with the caller's events; what comes from the client is only ``ping``."""

    def __init__(self, wire: Wire, messages: Changes, line: Lifeline) -> None:
        super().__init__(wire, line)
        self._messages = messages

    def _reason(self, error: BaseException) -> tuple[int, str] | None:
        return (MISSED_SOME, "events were missed: connect and look again") if isinstance(error, _Missed) else None

    async def _write(self) -> None:
        async for message in self._messages:
            if message is None:
                break
            await self._wire.send(as_text(message))
        raise _Missed

    async def _do(self, message: str | bytes) -> None:
        # Of all that a socket may be told; a single kind would let its `type` be left out.
        if not isinstance(event_of(message, events.ClientEvent), events.Ping):
            problem = "must be `ping`: nothing else is understood here"
            raise InvalidInput(f"$.type {problem}.", errors=(FieldError("$.type", problem),))
        await self._wire.send('{"type":"pong"}')

    async def _tell(self, error: EudaiError) -> None:
        problem = problems.problem_of(error)
        refused = changes.RefusedEvent(problem.title, problem.status, problem.detail, problem.code, problem.request_id)
        if not isinstance(problem.errors, msgspec.UnsetType):
            refused.errors = list(problem.errors)
        await self._wire.send(msgspec.json.encode(refused).decode())
