"""Events that are numbered before a commit and given out after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from eudai_core.chat.channel import Channel
from eudai_core.chat.frames import Frame, numbered
from eudai_core.errors import EudaiError, StorageUnavailable
from eudai_core.model import EventRecord, Lease

__all__ = ["Order", "ordered"]


class Order:
    """What one commit tells; see :func:`ordered`. It counts by itself: the channel learns of it after the commit."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._seq = channel.seq
        self._ceiling = channel.ceiling
        self._lease: tuple[Lease, float] | None = None
        self._frames: list[tuple[Frame, UUID | None]] = []
        self._before: list[EventRecord] = []

    def renew(self, lease: Lease, expires: float) -> None:
        """Take a lease in the same commit: the channel has it only when the commit is through."""
        self._lease = (lease, expires)
        if lease.floor > self._ceiling:
            self._seq = max(self._seq, lease.floor)
        self._ceiling = max(self._ceiling, lease.ceiling)

    def add(self, kind: str, payload: Mapping[str, Any], run_id: UUID | None) -> int:
        """Number an event, and return its number; it is given out when the ``async with`` ends without an exception.

        Raises:
            RuntimeError: there is no lease, or its numbers are used up; a caller's fault.
        """
        if self._seq >= self._ceiling:
            raise RuntimeError(f"conversation {self._channel.conversation_id} has no lease to number a {kind} event")
        self._seq += 1
        self._frames.append((numbered(kind, self._seq, self._channel.id_text, payload), run_id))
        return self._seq

    def records(self) -> list[EventRecord]:
        """Return what must be in the log before the events are given out: they, and all that stands before them.

        Also what a batch is bringing there just now: whoever reads the log meanwhile would miss it for good. Under a
        lease that somebody else had meanwhile, what stands before is numbered anew after the commit, and written then.
        """
        self._before = [] if self._above_others else self._channel.take_all()
        own = [frame.record(self._channel.conversation_id, run_id) for frame, run_id in self._frames]
        return [*self._before, *own]

    def publish(self) -> None:
        """Give the events out; the commit is through."""
        channel = self._channel
        if self._lease is not None:
            channel.renew(*self._lease, above=self._seq)
        channel.seq = max(channel.seq, self._seq)
        channel.logged(self._before)
        for frame, _ in self._frames:
            channel.publish(frame)
        if self._frames:
            channel.log_grew()

    def give_back(self, error: BaseException) -> None:
        """The commit was refused, or nobody knows.

        Numbers of a refused one are free again. When the storage did not confirm, they may be in the log, so those
        that lie in the lease that the channel has are skipped, and subscribers look there; of a lease taken in the
        same commit nothing is used.
        """
        refused = isinstance(error, EudaiError) and not isinstance(error, StorageUnavailable)
        self._channel.relog(self._before)
        if not refused and self._frames:
            self._channel.unsure(self._seq if self._seq <= self._channel.ceiling else self._channel.seq)

    @property
    def _above_others(self) -> bool:
        """Whether the order numbers under a lease that somebody else had meanwhile."""
        return self._lease is not None and self._lease[0].floor > self._channel.ceiling


@asynccontextmanager
async def ordered(channel: Channel) -> AsyncIterator[Order]:
    """Number events, commit them with what they tell, then give them out, nothing overtaking them.

    When the body raises, nothing is given out.
    """
    try:
        async with channel.lock:
            order = Order(channel)
            try:
                yield order
            except BaseException as error:
                order.give_back(error)
                raise
            order.publish()
    finally:
        channel.emit_held()
