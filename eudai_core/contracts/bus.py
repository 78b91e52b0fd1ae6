"""Messages between the processes of one deployment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Final, Protocol, runtime_checkable

__all__ = ["MISSED", "EventBus"]

MISSED: Final[Mapping[str, Any]] = MappingProxyType({})
"""Given to a subscriber in place of messages that it may have missed: ``message is MISSED``, then look at the storage.

It comes after an outage of the bus, once messages arrive again, and to a slow reader whose oldest messages were let
go. It stands before all that is still to be read; one stands for any number of messages. Being empty, it has no member
that a message has.
"""


@runtime_checkable
class EventBus(Protocol):
    """Topics that any process may publish to and subscribe to; best effort, so storage stays the truth.

    A message is an object of JSON values with at least one member. What one publisher tells of one topic arrives in
    order, and once. ``carries_payload`` says whether a message may carry live frames, or ids only (then keep it under
    4,000 bytes).
    """

    carries_payload: bool

    async def publish(self, topic: str, message: Mapping[str, Any]) -> None:
        """Tell every subscriber of ``topic``, in this process and in others; never raises for a lost message."""
        ...

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[Mapping[str, Any]]]:
        """Give the messages published to ``topic`` from entering the context on; a slow reader loses the oldest.

        Whoever may have missed some is given :data:`MISSED` first.
        """
        ...

    async def aclose(self) -> None:
        """Let go of every resource and end all subscriptions."""
        ...
