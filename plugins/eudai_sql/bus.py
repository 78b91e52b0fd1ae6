"""The event bus inside one process."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from eudai_core.contracts.bus import MISSED

__all__ = ["LocalEventBus", "Message"]

_QUEUE: Final = 1000
"""Messages that wait for one subscriber before the oldest is dropped."""

Message = Mapping[str, Any]


class LocalEventBus:
    """See eudai_core.contracts.EventBus. Carries ids only, as every bus that nothing more is asked of."""

    carries_payload = False

    def __init__(self, *, queue_size: int = _QUEUE) -> None:
        """Begin without subscribers, each of whom will have room for ``queue_size`` messages."""
        self._queue_size = queue_size
        self._topics: dict[str, set[_Subscription]] = {}
        self._closed = False

    async def publish(self, topic: str, message: Message) -> None:
        """Tell every subscriber of ``topic``; never waits for one."""
        self.put(topic, message)

    def put(self, topic: str, message: Message) -> None:
        """Tell every subscriber of ``topic``, from code that is no coroutine."""
        for subscription in self._topics.get(topic, ()):
            subscription.put(message)

    def missed(self) -> None:
        """Tell every subscriber of every topic that messages may be missing."""
        for subscriptions in self._topics.values():
            for subscription in subscriptions:
                subscription.missed()

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[AsyncIterator[Message]]:
        """Give the messages published to ``topic`` from entering the context on; a slow reader loses the oldest."""
        subscription = _Subscription(self._queue_size)
        if self._closed:
            subscription.end()
        self._topics.setdefault(topic, set()).add(subscription)
        try:
            yield subscription
        finally:
            subscription.end()
            self._forget(topic, subscription)

    async def aclose(self) -> None:
        """End all subscriptions, after what they have not read yet."""
        self._closed = True
        for subscriptions in self._topics.values():
            for subscription in subscriptions:
                subscription.end()

    def _forget(self, topic: str, subscription: _Subscription) -> None:
        subscriptions = self._topics[topic]
        subscriptions.discard(subscription)
        if not subscriptions:
            del self._topics[topic]


class _Subscription:
    def __init__(self, size: int) -> None:
        self._messages: deque[Message] = deque(maxlen=size)
        self._changed = asyncio.Event()
        self._missed = False
        self._ended = False

    def put(self, message: Message) -> None:
        if self._ended:
            return
        # A full deque lets go of its oldest.
        self._missed = self._missed or len(self._messages) == self._messages.maxlen
        self._messages.append(message)
        self._changed.set()

    def missed(self) -> None:
        if not self._ended:
            self._missed = True
            self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        while not self._messages and not self._missed:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        if self._missed:
            self._missed = False
            return MISSED
        return self._messages.popleft()
