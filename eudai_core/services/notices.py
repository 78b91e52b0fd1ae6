"""Telling others what was committed: plugins through ``eudai_on_event``, other processes through the event bus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from eudai_core.contracts import Clock
from eudai_core.model import Event
from eudai_core.plugins import PluginHost

__all__ = ["Notices"]


class Notices:
    """Gives out events after their commit. Never blocks and never raises: an event is a hint, storage is the truth."""

    def __init__(self, host: PluginHost, clock: Clock) -> None:
        self._host = host
        self._clock = clock
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have a part of the core hear of every event at once; it must not raise, nor wait for anything."""
        self._listeners.append(listener)

    def tell(
        self, kind: str, action: str, user_id: UUID, object_id: UUID, data: Mapping[str, Any] | None = None
    ) -> None:
        """Tell that ``action`` happened to an object of a user."""
        event = Event(kind, action, user_id, object_id, self._clock.now(), data or {})
        for listener in self._listeners:
            listener(event)
        self._host.hooks.notify("eudai_on_event", event=event)
