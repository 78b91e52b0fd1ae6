"""The event bus between processes, on PostgreSQL's LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Final

from eudai_sql.bus import LocalEventBus, Message
from eudai_sql.failures import reason_of
from eudai_sql.notify_link import NotifyLink, payload_of
from eudai_sql.outage import Outage
from eudai_sql.url import DatabaseUrl

__all__ = ["MOST_BYTES", "NotifyEventBus"]

_log: Final = logging.getLogger(__name__)

MOST_BYTES: Final = 4000
"""Bytes that a notification may have here; PostgreSQL takes 7,999."""
_WAITING: Final = 10_000
"""Messages that wait for the connection before the oldest is given up."""
_BATCH: Final = 500
_PING_S: Final = 10.0
"""Seconds without a message after which the server is asked whether it is there."""
_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 5.0
_ENTER_S: Final = 2.0
"""Seconds that a subscriber waits to be connected; after that it is told :data:`MISSED` when it is."""


class NotifyEventBus:
    """See eudai_core.contracts.EventBus. Carries ids only, in messages under 4,000 bytes; a longer one is dropped.

    Subscribers in this process are told at once. Publishing waits for nobody: what is published while a statement is
    on its way, or the database away, goes with the next one. One connection serves both directions, opened with the
    first use; nothing of the storage's pool is taken. After an outage every subscriber, in this and in other processes,
    that may have missed something is told so.
    """

    carries_payload = False

    def __init__(self, url: DatabaseUrl, *, queue_size: int | None = None) -> None:
        """Work over the database at ``url``, without a pooler between; nothing is connected yet."""
        self._dsn = url.dsn
        self._local = LocalEventBus() if queue_size is None else LocalEventBus(queue_size=queue_size)
        self._outage = Outage(f"the event bus on {url.description}")
        self._numbers = count()
        self._waiting: deque[str] = deque(maxlen=_WAITING)
        self._given_up = False
        """Whether messages were lost that other processes have not been told of."""
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def publish(self, topic: str, message: Message) -> None:
        """Tell every subscriber of ``topic``, in this process now and in others soon; waits for nobody.

        Raises:
            TypeError, ValueError: ``message`` does not consist of JSON values.
        """
        if self._closing.is_set():
            return
        payload = payload_of(next(self._numbers), topic, message)
        if len(payload) >= MOST_BYTES:
            _log.error("a message of %d bytes was dropped: one on topic %s may have 4,000", len(payload), topic[:100])
            return
        self._local.put(topic, message)
        self._given_up = self._given_up or len(self._waiting) == _WAITING
        self._waiting.append(payload)
        self._begin()
        self._wake.set()

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[AsyncIterator[Message]]:
        """Give the messages published to ``topic`` from entering the context on; a slow reader loses the oldest.

        Entering waits for the connection, for two seconds at most; while there is none, only this process is heard.
        """
        if not self._closing.is_set():
            self._begin()
            with suppress(TimeoutError):
                async with asyncio.timeout(_ENTER_S):
                    await self._tried.wait()
        async with self._local.subscribe(topic) as messages:
            yield messages

    async def aclose(self) -> None:
        """Send what waits, if that is possible now, and end all subscriptions."""
        self._closing.set()
        self._wake.set()
        if self._task is not None:
            await asyncio.shield(self._task)
        await self._local.aclose()

    def _begin(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="eudai-notify")

    async def _run(self) -> None:
        delay = _FIRST_DELAY_S
        while True:
            try:
                link = await NotifyLink.open(self._dsn, self._hear, self._wake.set)
                delay = _FIRST_DELAY_S
                await self._use(link)
            except Exception as error:  # whatever it is: nobody would notice a bus that has stopped
                self._outage.failed(reason_of(error))
                _log.debug("the event bus has no connection", exc_info=error)
            else:
                return
            self._tried.set()
            if self._closing.is_set():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._closing.wait()
            delay = min(2 * delay, _LONGEST_DELAY_S)

    async def _use(self, link: NotifyLink) -> None:
        """Send what is published until the bus is closed, or the connection fails."""
        try:
            # Who subscribed before this moment heard this process only.
            self._local.missed()
            self._tried.set()
            while self._waiting or not self._closing.is_set():
                self._wake.clear()
                await self._send(link)
                self._outage.answered()
                if not self._waiting and not self._closing.is_set():
                    await self._pause(link)
            await link.aclose()
        finally:
            link.abort()

    async def _pause(self, link: NotifyLink) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PING_S):
                await self._wake.wait()
        if link.lost:
            raise ConnectionResetError("the server closed the connection")

    async def _send(self, link: NotifyLink) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _BATCH))]
        given_up, self._given_up = self._given_up, False
        if given_up:
            batch.insert(0, payload_of(next(self._numbers), None, {}))
        try:
            await link.send(batch)
        except BaseException:
            # They may have been sent or not. To send them again could tell twice, so others are told to look instead.
            self._given_up = self._given_up or bool(batch)
            raise

    def _hear(self, topic: str | None, message: Message) -> None:
        if topic is None:
            self._local.missed()
        else:
            self._local.put(topic, message)
