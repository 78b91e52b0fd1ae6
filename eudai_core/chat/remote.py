"""What the processes of one deployment tell each other of conversations, over the event bus: ids, nothing more.

It is best effort: the log and the ``runs`` table are the truth. Whoever may have missed a message looks there.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol
from uuid import UUID

from eudai_core.contracts import MISSED, EventBus

__all__ = ["TOPIC", "Hearer", "Remote"]

TOPIC: Final = "conversation"
AT_ONCE: Final = 50
"""Conversations that one message names at most: a bus without payload takes 4,000 bytes."""
WAITING: Final = 10_000
"""Stops and deletions that wait for a slow bus before the oldest is let go."""
PUBLISH_S: Final = 2.0
CLOSE_S: Final = 1.0
AGAIN_S: Final = 1.0
_log = logging.getLogger(__name__)


class Hearer(Protocol):
    """What is done with what other processes tell; nothing of it may raise, or wait for anything."""

    def heard_of_log(self, conversation_id: UUID | None) -> None:
        """The log of a conversation has more; None: that of any may."""
        ...

    def heard_of_stop(self, conversation_id: UUID, run_id: UUID) -> None:
        """Somebody asked to stop a run."""
        ...

    def heard_of_end(self, object_id: UUID) -> None:
        """A conversation, or a project with its conversations, was deleted."""
        ...


class Remote:
    """Tells other processes, and hears them. With ``alone``, the only process of its database, it does neither."""

    def __init__(self, bus: EventBus, instance: str, *, alone: bool) -> None:
        self._bus = bus
        self._instance: Final = instance
        self._alone = alone
        self._grown: dict[UUID, None] = {}
        self._others: deque[Mapping[str, Any]] = deque(maxlen=WAITING)
        self._publishing: asyncio.Task[None] | None = None
        self._failing = False

    def tell_log(self, conversation_id: UUID) -> None:
        """Tell that the log of a conversation has more; however often that is said, it waits once."""
        if not self._alone:
            self._grown[conversation_id] = None
            self._publish_soon()

    def tell_stop(self, conversation_id: UUID, run_id: UUID) -> None:
        """Tell that somebody asked to stop a run."""
        self._tell({"stop": str(run_id), "conversation": str(conversation_id)})

    def tell_end(self, object_id: UUID) -> None:
        """Tell that a conversation or a project was deleted."""
        self._tell({"deleted": str(object_id)})

    @asynccontextmanager
    async def running(self, hearer: Hearer) -> AsyncIterator[None]:
        """Give ``hearer`` what others tell until the block ends."""
        if self._alone:
            yield
            return
        task = asyncio.create_task(self._hear_on(hearer), name="eudai-conversations")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def aclose(self) -> None:
        """Tell what waits, if that is possible now."""
        if self._publishing is not None:
            await asyncio.wait({self._publishing}, timeout=CLOSE_S)
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)

    def _tell(self, message: Mapping[str, Any]) -> None:
        if not self._alone:
            self._others.append(message)
            self._publish_soon()

    def _publish_soon(self) -> None:
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.create_task(self._publish_all(), name="eudai-conversations-told")

    async def _publish_all(self) -> None:
        while self._others or self._grown:
            if self._others:
                await self._publish(self._others.popleft())
                continue
            names = list(self._grown)[:AT_ONCE]
            for name in names:
                del self._grown[name]
            await self._publish({"log": [str(name) for name in names]})

    async def _publish(self, message: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(PUBLISH_S):
                await self._bus.publish(TOPIC, {"by": self._instance, **message})
            self._failing = False
        except Exception:  # a plugin's bus: others hear nothing of it until they look by themselves
            if not self._failing:
                _log.exception("other processes cannot be told of conversations")
            self._failing = True

    async def _hear_on(self, hearer: Hearer) -> None:
        while True:
            try:
                async with self._bus.subscribe(TOPIC) as messages:
                    hearer.heard_of_log(None)
                    async for message in messages:
                        self._hear(hearer, message)
                    return  # the bus is closed
            except Exception:  # a plugin's bus; what it loses is looked up when it is back
                _log.exception("other processes cannot be heard")
            await asyncio.sleep(AGAIN_S)

    def _hear(self, hearer: Hearer, message: Mapping[str, Any]) -> None:
        if message is MISSED:
            hearer.heard_of_log(None)
            return
        if message.get("by") == self._instance:
            return
        try:
            for name in message.get("log", ()):
                hearer.heard_of_log(UUID(name))
            if "stop" in message:
                hearer.heard_of_stop(UUID(message["conversation"]), UUID(message["stop"]))
            if "deleted" in message:
                hearer.heard_of_end(UUID(message["deleted"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            _log.warning("a message about conversations cannot be read: is another version of eudai running?")
