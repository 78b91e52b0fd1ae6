"""The conversations that are alive in this process, and the one clock tick that all their answers share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID

from eudai_core.chat.answer import LiveText
from eudai_core.chat.channel import HEADROOM, Channel, Order
from eudai_core.contracts import Clock, Storage, UnitOfWork

__all__ = ["Channels"]


class Channels:
    """Opens and forgets channels, and gives out what their answers collected, on one timer for all."""

    def __init__(self, storage: Storage, clock: Clock, instance: str, *, tick_ms: int, lease_s: float) -> None:
        self._storage = storage
        self._clock = clock
        self._instance: Final = instance
        self._tick: Final = tick_ms / 1000
        self._lease: Final = timedelta(seconds=lease_s)
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

    async def lease(self, channel: Channel, unit: UnitOfWork, order: Order | None = None) -> bool:
        """Take or renew the right to number a conversation's events; False while another process has it.

        With ``order`` it is given back when the order fails.
        """
        now = self._clock.now()
        lease = await unit.conversations.lease(
            channel.conversation_id, owner=self._instance, now=now, until=now + self._lease, headroom=HEADROOM
        )
        if lease is not None:
            (order or channel).renew(lease)
        return lease is not None

    async def hold(self, channel: Channel) -> bool:
        """Take or renew the lease in a unit of work of its own."""
        async with self._storage.unit_of_work() as unit:
            held = await self.lease(channel, unit)
            await unit.commit()
        return held

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
            channel.close()

    def _on_tick(self) -> None:
        self._timer = None
        waiting = {channel for channel in self._dirty if not channel.flush()}
        self._dirty = waiting
        if waiting:
            self._timer = asyncio.get_running_loop().call_later(self._tick or 0.01, self._on_tick)

    async def _open(self, conversation_id: UUID) -> Channel:
        channel = self._channels.get(conversation_id)
        if channel is not None:
            return channel
        async with self._storage.unit_of_work(readonly=True) as unit:
            conversation = await unit.conversations.get(conversation_id)
        fresh = Channel(conversation_id, conversation.project_id, conversation.seq)
        return self._channels.setdefault(conversation_id, fresh)  # somebody else may have been faster
