"""What changed in accounts, told to every process: sessions and keys that ended, users who are no longer the same.

Each change is applied in this process at once and published on the event bus for the others. Whoever may have missed
one forgets what it remembers and looks at storage.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from eudai_core.contracts import MISSED, Clock, EventBus
from eudai_core.model import Identity

__all__ = ["TOPIC", "AccountChange", "AccountChanges", "Ends", "Hearer"]

TOPIC: Final = "sessions"
"""The topic of the event bus."""
_PUBLISH_S: Final = 2.0
_AGAIN_S: Final = 1.0
_log = logging.getLogger(__name__)


class Ends(StrEnum):
    """What a change of an account ends."""

    NOTHING = "nothing"
    """The user is another now, such as an administrator; all that was open stays open."""
    SESSION = "session"
    KEY = "key"
    SESSIONS = "sessions"
    """All sessions of the user but one."""
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class AccountChange:
    """A change of a user; ``id`` is the session or key that ended, or the one session that stays (SESSIONS)."""

    user_id: UUID
    ends: Ends
    id: UUID | None = None

    @property
    def subject(self) -> UUID | None:
        """The one session or key that it is about, or None for all of the user's."""
        return self.id if self.ends in {Ends.SESSION, Ends.KEY} else None

    def covers(self, identity: Identity) -> bool:
        """Tell whether it ends an identity of its user."""
        match self.ends:
            case Ends.NOTHING:
                return False
            case Ends.SESSION:
                return identity.session_id == self.id
            case Ends.KEY:
                return identity.key_id == self.id
            case Ends.SESSIONS:
                return identity.session_id is not None and identity.session_id != self.id
            case Ends.EVERYTHING:
                return True

    def message(self) -> Mapping[str, Any]:
        """Return it for the bus."""
        return {"user": str(self.user_id), "ends": self.ends.value, "id": None if self.id is None else str(self.id)}

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> AccountChange | None:
        """Return what another process told, or None when that cannot be understood."""
        try:
            given = message["id"]
            return cls(UUID(message["user"]), Ends(message["ends"]), None if given is None else UUID(given))
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


class Hearer(Protocol):
    """Who remembers what changes may end."""

    def apply(self, change: AccountChange) -> None:
        """Forget what changed, and end what ended."""
        ...

    async def doubt(self) -> None:
        """Forget everything: changes may have been missed."""
        ...


class AccountChanges:
    """Tells of changes and hears of those of other processes."""

    def __init__(self, hearer: Hearer, bus: EventBus, clock: Clock) -> None:
        self._hearer = hearer
        self._bus = bus
        self._clock = clock

    async def tell(self, change: AccountChange) -> None:
        """Apply a change that was committed, and tell the other processes."""
        self._hearer.apply(change)
        try:
            async with asyncio.timeout(_PUBLISH_S):
                await self._bus.publish(TOPIC, change.message())
        except Exception:  # a plugin's bus; the change is stored, and others find it there within seconds
            _log.exception("the end of a session could not be told to the other processes")

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """Hear of the changes of other processes until the block ends."""
        listening = asyncio.Event()
        task = asyncio.create_task(self._listen(listening), name="eudai-sessions")
        try:
            await listening.wait()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _listen(self, listening: asyncio.Event) -> None:
        while True:
            try:
                async with self._bus.subscribe(TOPIC) as messages:
                    listening.set()
                    async for message in messages:
                        await self._take(message)
                return  # the bus was closed
            except Exception:  # a plugin's bus: without it, changes of other processes are found within seconds
                _log.exception("changes of sessions in other processes are not heard of, and are asked for again")
            listening.set()
            await self._clock.sleep(_AGAIN_S)
            await self._hearer.doubt()

    async def _take(self, message: Mapping[str, Any]) -> None:
        change = None if message is MISSED else AccountChange.of(message)
        if change is None:
            await self._hearer.doubt()
        else:
            self._hearer.apply(change)
