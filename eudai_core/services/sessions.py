"""Which sessions are alive, remembered for a few seconds, and who wants to know when one ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import InvalidCredentials, NotFound

__all__ = ["LiveSessions"]

REMEMBERED_S: Final = 5.0
MOST: Final = 50_000


class LiveSessions:
    """Checks sessions on every request without asking storage each time."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._good: dict[UUID, float] = {}
        self._ends = 0
        self._watchers: dict[UUID, set[asyncio.Event]] = {}

    async def check(self, session_id: UUID) -> None:
        """Return when the session is alive.

        Raises:
            InvalidCredentials: it has ended, or there is none.
        """
        if self._good.get(session_id, 0.0) > self._clock.monotonic():
            return
        ends = self._ends
        try:
            async with self._storage.unit_of_work(readonly=True) as unit:
                session = await unit.sessions.get(session_id)
        except NotFound as error:
            raise self._ended(session_id) from error
        if session.revoked_at is not None or session.expires_at <= self._clock.now():
            raise self._ended(session_id)
        if ends != self._ends:
            return  # some session ended meanwhile, perhaps this one: remember nothing
        if len(self._good) >= MOST:
            self._good.clear()
        self._good[session_id] = self._clock.monotonic() + REMEMBERED_S

    def end(self, session_id: UUID) -> None:
        """Forget a session that was revoked, and wake those who watch it."""
        self._ends += 1
        self._good.pop(session_id, None)
        for watcher in self._watchers.get(session_id, ()):
            watcher.set()

    @contextmanager
    def watch(self, session_id: UUID | None) -> Iterator[asyncio.Event]:
        """Give an event that is set when the session ends in this process."""
        event = asyncio.Event()
        if session_id is None:
            yield event
            return
        self._watchers.setdefault(session_id, set()).add(event)
        try:
            yield event
        finally:
            watchers = self._watchers[session_id]
            watchers.discard(event)
            if not watchers:
                del self._watchers[session_id]

    def _ended(self, session_id: UUID) -> InvalidCredentials:
        self.end(session_id)
        return InvalidCredentials("This session has ended. Log in again.")
