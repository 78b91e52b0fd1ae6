"""What changes for a user, told to whoever follows it, in whatever process: ids and status, nothing more.

It goes over the event bus, best effort and without replay: who may have missed something is told so, and looks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from eudai_core.contracts import MISSED, EventBus
from eudai_core.model import Event, Identity

__all__ = ["UserEvents"]

TOLD: Final = frozenset({"project", "conversation", "file", "url", "run"})
MEMBERS: Final = ("project_id", "conversation_id", "status")
"""What an event may say besides what happened to which object: an event of a plugin's making says no more."""
WAITING: Final = 10_000
"""Events that wait for a slow bus before the oldest is let go."""
PUBLISH_S: Final = 2.0
CLOSE_S: Final = 1.0
_log = logging.getLogger(__name__)


class UserEvents:
    """Publishes the events of all users, and gives each user the own ones."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._waiting: deque[Event] = deque(maxlen=WAITING)
        self._changed = asyncio.Event()
        self._failing = False
        self._closing = False

    def hear(self, event: Event) -> None:
        """Take an event that is to be told; waits for nothing."""
        if event.type in TOLD:
            self._waiting.append(event)
            self._changed.set()

    @asynccontextmanager
    async def subscribe(self, identity: Identity) -> AsyncIterator[AsyncIterator[Mapping[str, Any] | None]]:
        """Give the caller's events from entering the block on: ``type``, ``action``, ``id``, ``at`` and more ids.

        None stands for events that may be missing: what was read before may be old. Ends when the bus is closed.
        """
        async with self._bus.subscribe(_topic(identity.user_id)) as messages:
            yield _Given(messages)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Publish until the block ends, and what waits then."""
        task = asyncio.create_task(self._publish_on(), name="eudai-user-events")
        try:
            yield
        finally:
            self._closing = True
            self._changed.set()
            await asyncio.wait({task}, timeout=CLOSE_S)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _publish_on(self) -> None:
        while self._waiting or not self._closing:
            await self._changed.wait()
            self._changed.clear()
            while self._waiting:
                await self._publish(self._waiting.popleft())

    async def _publish(self, event: Event) -> None:
        try:
            async with asyncio.timeout(PUBLISH_S):
                await self._bus.publish(_topic(event.user_id), _message(event))
            self._failing = False
        except Exception:  # a plugin's bus; events are a hint, and whoever follows them looks again
            if not self._failing:
                _log.exception("events cannot be told to those who follow them")
            self._failing = True


class _Given:
    """The messages of a subscription, with None for those that are missing."""

    def __init__(self, messages: AsyncIterator[Mapping[str, Any]]) -> None:
        self._messages = messages

    def __aiter__(self) -> _Given:
        return self

    async def __anext__(self) -> Mapping[str, Any] | None:
        message = await anext(self._messages)
        return None if message is MISSED else message


def _topic(user_id: object) -> str:
    return f"user.{user_id}"


def _message(event: Event) -> Mapping[str, Any]:
    return {
        "type": event.type,
        "action": event.action,
        "id": str(event.object_id),
        "at": event.at.isoformat(),
        **{name: str(event.data[name]) for name in MEMBERS if name in event.data},
    }
