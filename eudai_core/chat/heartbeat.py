"""Keeping the leases of what this process makes, and noticing when it has lost one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from eudai_core.chat.channel import Channel
from eudai_core.chat.channels import Channels
from eudai_core.chat.turn import Turn
from eudai_core.contracts import Clock, Storage, UnitOfWork
from eudai_core.errors import NotFound
from eudai_core.model import Lease, MessageStatus

__all__ = ["Heartbeat"]

_UNASKED: Final = object()


class Heartbeat:
    """Renews the leases of running answers and of their conversations, together in one commit."""

    def __init__(self, storage: Storage, channels: Channels, clock: Clock, instance: str, *, lease_s: float) -> None:
        self._storage = storage
        self._channels = channels
        self._clock = clock
        self._instance: Final = instance
        self._lease_s: Final = lease_s

    def low(self, turns: Iterable[Turn]) -> list[Turn]:
        """Return those of ``turns`` whose conversation should have more numbers."""
        channels = ((turn, self._channels.get(turn.run.conversation_id)) for turn in turns if turn.begun)
        return [turn for turn, channel in channels if channel is not None and channel.low]

    async def beat(self, turns: Sequence[Turn]) -> None:
        """Renew the leases of ``turns``.

        A turn that another process has ended or taken, or whose conversation another process has, ends without a
        word; one that somebody asked to stop is stopped.
        """
        if not turns:
            return
        expires = self._clock.monotonic() + self._lease_s
        until = self._clock.now() + timedelta(seconds=self._lease_s)
        # In one order, so that no two processes wait for each other.
        turns = sorted(turns, key=lambda turn: turn.run.conversation_id)
        channels = {turn.run.id: self._channels.get(turn.run.conversation_id) for turn in turns if turn.begun}
        lapses = {run_id: channel.lapses for run_id, channel in channels.items() if channel is not None}
        async with self._storage.unit_of_work() as unit:
            # Conversations first, as everywhere, for the same reason.
            leases = {turn.run.id: await self._renew(unit, turn) for turn in turns if turn.run.id in channels}
            beat = await unit.runs.heartbeat([turn.run.id for turn in turns], owner=self._instance, until=until)
            for run_id in leases.keys() - beat.renewed:
                await self._let_go(unit, run_id, leases[run_id], channels[run_id])
            await unit.commit()
        for turn in turns:
            run_id = turn.run.id
            if run_id not in beat.renewed or leases.get(run_id, _UNASKED) is None:
                turn.lose()
            elif run_id in beat.stop_requested:
                turn.stop(MessageStatus.STOPPED)
        for run_id, lease in leases.items():
            channel = channels[run_id]
            # Not when the run has ended meanwhile, and its lease with it.
            if (
                lease is not None
                and channel is not None
                and run_id in beat.renewed
                and channel.lapses == lapses[run_id]
            ):
                channel.renew(lease, expires)

    async def _let_go(self, unit: UnitOfWork, run_id: UUID, lease: Lease | None, channel: Channel | None) -> None:
        """Give back what was renewed for a run that is over, unless another run of this process goes on with it."""
        if channel is not None:
            if channel.holders > 1 or (channel.making is not None and channel.making.run_id != run_id):
                return
            channel.lapse()
        if lease is not None:
            await self._channels.let_go(unit, lease.conversation_id)

    async def _renew(self, unit: UnitOfWork, turn: Turn) -> Lease | None:
        try:
            return await self._channels.renew(unit, turn.run.conversation_id)
        except NotFound:  # another process deleted the conversation
            channel = self._channels.get(turn.run.conversation_id)
            if channel is not None:
                channel.delete()
            return None
