"""The conversations that are alive in this process, and the one clock tick that all their answers share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from eudai_core.chat.answer import LiveText
from eudai_core.chat.channel import HEADROOM, Channel
from eudai_core.chat.order import Order, ordered
from eudai_core.contracts import Clock, Storage, UnitOfWork
from eudai_core.model import Lease

__all__ = ["Channels", "Overtaken"]

LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""The end of a lease that is over for every process, whatever its clock says."""


class Overtaken(Exception):  # noqa: N818 -- caught where an answer ends
    """Another process gave out numbers of the conversation, and nobody has it now: take a lease, and try again."""


class Channels:
    """Opens and forgets channels, takes their leases, and gives out what their answers collected, on one timer."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        instance: str,
        *,
        tick_ms: int,
        lease_s: float,
        tell: Callable[[UUID], None] | None = None,
    ) -> None:
        """Begin without channels; ``tell`` is called with a conversation of which the log has more."""
        self._storage = storage
        self._clock = clock
        self._instance: Final = instance
        self._tick: Final = tick_ms / 1000
        self._lease_s: Final = lease_s
        self._tell: Final = None if storage.single_process else tell
        self._channels: dict[UUID, Channel] = {}
        self._dirty: set[Channel] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __iter__(self) -> Iterator[Channel]:
        return iter(list(self._channels.values()))

    def get(self, conversation_id: UUID) -> Channel | None:
        """Return a channel that is open, or None."""
        return self._channels.get(conversation_id)

    @asynccontextmanager
    async def use(self, conversation_id: UUID) -> AsyncIterator[Channel]:
        """Keep a conversation's channel open while it is used.

        Raises:
            NotFound: there is no such conversation.
        """
        channel = await self._open(conversation_id)
        channel.active += 1
        try:
            yield channel
        finally:
            channel.active -= 1

    def held(self, channel: Channel) -> bool:
        """Return whether the lease is this process's for long enough to make a commit under it."""
        return channel.expires - self._clock.monotonic() > self._lease_s / 2 and channel.may_number

    def leased(self, channel: Channel) -> bool:
        """Return whether the lease is this process's now, so that nobody else writes to the log."""
        return not channel.shared or channel.expires > self._clock.monotonic()

    async def lease(self, channel: Channel, unit: UnitOfWork, order: Order) -> bool:
        """Make sure that ``order`` may number events; False while another process has the conversation.

        A lease that runs long enough is used as it is. One that no run of this process needs ends with its commit, so
        that another process can make the answer at once.
        """
        if self.held(channel):
            return True
        now = self._clock.monotonic()
        seconds = self._lease_s if channel.holders or self._storage.single_process else 0.0
        lease = await self._take(unit, channel.conversation_id, seconds)
        if lease is not None:
            order.renew(lease, now + seconds)
        return lease is not None

    async def hold(self, channel: Channel) -> bool:
        """Take the lease in a unit of work of its own; see :meth:`Channel.holding`."""
        async with ordered(channel) as order, self._storage.unit_of_work() as unit:
            held = await self.lease(channel, unit, order)
            await unit.commit()
        return held

    async def renew(self, unit: UnitOfWork, conversation_id: UUID) -> Lease | None:
        """Renew the lease for a running answer; tell the channel after the commit. None: another process has it."""
        return await self._take(unit, conversation_id, self._lease_s)

    async def let_go(self, unit: UnitOfWork, conversation_id: UUID) -> Lease | None:
        """End the lease in the same commit, and return it, without further numbers; None when another has it."""
        return await self._take(unit, conversation_id, 0.0, headroom=0)

    async def finish(self, channel: Channel, unit: UnitOfWork) -> bool:
        """End the lease in the commit of the last run that needs it; False when another process has it.

        Raises:
            Overtaken: another process had it meanwhile, and gave out higher numbers than are left here.
        """
        if self._storage.single_process or channel.holders > 1:
            return True
        channel.lapse()
        lease = await self.let_go(unit, channel.conversation_id)
        if lease is not None and lease.floor > channel.ceiling:
            raise Overtaken
        return lease is not None

    def feed(self, channel: Channel, part: LiveText, piece: str) -> None:
        """Take a piece of the running answer: the first one is given out at once, the others with the next tick."""
        first = part.seq == 0
        part.add(piece)
        if (first or not self._tick) and channel.flush():
            return
        self._dirty.add(channel)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick, self._on_tick)

    def forget_idle(self) -> None:
        """Let go of the channels that nobody uses and whose events are all in the log."""
        for key, channel in list(self._channels.items()):
            if not channel.active and not channel.wakers and channel.settled:
                del self._channels[key]

    def close(self) -> None:
        """End the timer and every subscription."""
        if self._timer is not None:
            self._timer.cancel()
        for channel in self._channels.values():
            channel.shut()

    def _on_tick(self) -> None:
        self._timer = None
        waiting = {channel for channel in self._dirty if not channel.flush()}
        self._dirty = waiting
        if waiting:
            self._timer = asyncio.get_running_loop().call_later(self._tick or 0.01, self._on_tick)

    async def _take(
        self, unit: UnitOfWork, conversation_id: UUID, seconds: float, *, headroom: int = HEADROOM
    ) -> Lease | None:
        now = self._clock.now()
        until = now + timedelta(seconds=seconds) if seconds else LONG_AGO
        return await unit.conversations.lease(
            conversation_id, owner=self._instance, now=now, until=until, headroom=headroom
        )

    async def _open(self, conversation_id: UUID) -> Channel:
        channel = self._channels.get(conversation_id)
        if channel is not None:
            return channel
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            conversation = await unit.conversations.get(conversation_id)
        fresh = Channel(conversation_id, conversation.project_id, conversation.seq, self._tell)
        return self._channels.setdefault(conversation_id, fresh)  # somebody else may have been faster
