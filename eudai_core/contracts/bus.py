"""Messages between the processes of one deployment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

__all__ = ["EventBus"]


@runtime_checkable
class EventBus(Protocol):
    """Topics that any process may publish to and subscribe to; best effort, so storage stays the truth.

    ``carries_payload`` says whether a message may carry live frames, or ids only (then keep it under 4,000 bytes).
    """

    carries_payload: bool

    async def publish(self, topic: str, message: Mapping[str, Any]) -> None:
        """Tell every subscriber of ``topic``, in this process and in others; never raises for a lost message."""
        ...

    def subscribe(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[Mapping[str, Any]]]:
        """Give the messages published to ``topic`` from entering the context on; a slow reader loses the oldest."""
        ...

    async def aclose(self) -> None:
        """Let go of every resource and end all subscriptions."""
        ...
