"""Server-sent events: the same frames as over the WebSocket, over plain HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from quart import Response, request

from eudai_core.chat import Accepted, Chat, Frame, Subscription
from eudai_core.chat.frames import bot_message
from eudai_core.errors import Draining, NotFound
from eudai_core.model import Identity
from eudai_quart.lifelines import Lifelines
from eudai_quart.wire.encode import as_event

__all__ = ["HEARTBEAT_S", "answer_events", "conversation_events", "event_stream"]

HEARTBEAT_S: Final = 15.0
BEAT: Final = b":\n\n"
LAST_LOOK_S: Final = 1.0
"""Seconds in which the end of a run that is over may still come as an event."""


async def event_stream(events: AsyncGenerator[bytes]) -> Response:
    """Return the events as an answer; what is wrong before the first one is raised here, with its own status."""
    first = await anext(events)
    if request.method == "HEAD":
        # It asks for the head only, which is that of the answer to a GET: for strangers, too.
        await events.aclose()
    body = b"" if request.method == "HEAD" else _Primed(first, events)
    response = Response(body, content_type="text/event-stream; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.timeout = None
    return response


async def conversation_events(
    chat: Chat, lifelines: Lifelines, identity: Identity, conversation_id: UUID, after: int | None
) -> AsyncGenerator[bytes]:
    """Give a conversation's events until the client leaves, the server restarts or the session ends."""
    with lifelines.open(identity) as line:
        async with chat.subscribe(identity, conversation_id, after=after) as subscription:
            yield BEAT
            async with _pulling(subscription) as pull:
                while not line.ended.done():
                    frames = await pull(line.ended)
                    if frames is None:
                        return
                    yield b"".join(frame.encoded(as_event) for frame in frames) or BEAT


async def answer_events(
    chat: Chat, lifelines: Lifelines, identity: Identity, conversation_id: UUID, send: Callable[[], Awaitable[Accepted]]
) -> AsyncGenerator[bytes]:
    """Send a command, and give the conversation's events from its acknowledgement to the end of its run."""
    with lifelines.open(identity) as line:
        async with chat.subscribe(identity, conversation_id) as subscription:
            accepted = await send()
            first = [frame for frame in (accepted.ack(), accepted.queued()) if frame is not None]
            yield b"".join(frame.encoded(as_event) for frame in first)
            outcome = asyncio.create_task(chat.outcome(accepted))
            try:
                async with _pulling(subscription) as pull:
                    async for piece in _until_end(pull, line.ended, outcome, accepted):
                        yield piece
            finally:
                outcome.cancel()
                await asyncio.gather(outcome, return_exceptions=True)


_Pull = Callable[..., Awaitable[Sequence[Frame] | None]]


async def _until_end(
    pull: _Pull, ended: asyncio.Future[Any], outcome: asyncio.Task[Any], accepted: Accepted
) -> AsyncIterator[bytes]:
    while not ended.done():
        over = outcome.done()
        frames = await pull(ended, *(() if over else (outcome,)), wait=LAST_LOOK_S if over else HEARTBEAT_S)
        if frames is None:
            return
        for frame in frames:
            yield frame.encoded(as_event)
            if frame.type == "bot_message" and frame.payload.get("run_id") == str(accepted.run_id):
                return
        if not frames and over:
            # The run had ended before this request came: its events are the past, its outcome is told once more.
            _, answer = outcome.result()
            head = {"type": "bot_message", "conversation_id": str(accepted.conversation_id)}
            yield as_event({**head, **bot_message(answer, accepted.run_id)})
            return
        if not frames and not outcome.done():
            yield BEAT


@asynccontextmanager
async def _pulling(subscription: Subscription) -> AsyncIterator[_Pull]:
    """Give a function that waits for frames with a time limit, and loses none when the limit comes first."""
    waiting: asyncio.Task[Sequence[Frame]] | None = None

    async def pull(*others: asyncio.Future[Any], wait: float = HEARTBEAT_S) -> Sequence[Frame] | None:
        """Return what is due, nothing when the time is up or another future is done, None when all is over."""
        nonlocal waiting
        if waiting is None:
            waiting = asyncio.create_task(_next(subscription))
        await asyncio.wait({waiting, *others}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            return ()
        done, waiting = waiting, None
        try:
            return done.result()
        except (Draining, NotFound):
            return None

    try:
        yield pull
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)


async def _next(subscription: Subscription) -> Sequence[Frame]:
    return await subscription.next()


class _Primed:
    """A generator whose first piece was taken already. It has begun, so its end is certain, whatever becomes of us."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes]) -> None:
        self._first: bytes | None = first
        self._rest = rest

    def __aiter__(self) -> _Primed:
        return self

    async def __anext__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await anext(self._rest)

    async def aclose(self) -> None:
        """End the generator."""
        await self._rest.aclose()
