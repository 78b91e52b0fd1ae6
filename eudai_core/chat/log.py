"""The event log, written behind the streams: one statement for all answers, several times a second."""

from __future__ import annotations

import logging
from typing import Final
from uuid import UUID

from eudai_core.chat.channel import Channel
from eudai_core.chat.channels import Channels
from eudai_core.contracts import Clock, Storage
from eudai_core.errors import EudaiError, StorageUnavailable
from eudai_core.model import EventRecord

__all__ = ["BATCH_S", "EventLog"]

BATCH_S: Final = 0.1
PARTIAL_EVERY: Final = 30
"""How many batches apart the message rows get the text so far: every three seconds."""
TRIES: Final = 10
"""Batches in which events are tried that cannot be written, though the storage works."""
_log = logging.getLogger(__name__)


class EventLog:
    """Writes what the channels published. A batch that fails is kept and written with the next one."""

    def __init__(self, storage: Storage, channels: Channels, clock: Clock) -> None:
        self._storage = storage
        self._channels = channels
        self._clock = clock
        self._count = 0
        self._odd: dict[UUID, int] = {}
        """How often events of a conversation could not be written for a reason of their own."""

    async def step(self) -> None:
        """Write a batch, and at every so many the texts so far. Raises StorageUnavailable; nothing is lost by that."""
        self._count += 1
        await self.flush(partials=self._count % PARTIAL_EVERY == 0)
        self._channels.forget_idle()

    async def flush(self, *, partials: bool = False) -> None:
        """Write what the log lacks.

        Raises:
            StorageUnavailable: the storage is down; what was to be written is kept.
        """
        channels = [channel for channel in self._channels if self._writes(channel)]
        taken = [(channel, records) for channel in channels if (records := channel.take_unlogged())]
        texts = _texts(channels) if partials else []
        if not taken and not texts:
            return
        try:
            await self._write([record for _, records in taken for record in records], texts)
        except StorageUnavailable:
            _relog(taken)
            raise
        except Exception:  # whatever it is: most likely it lies in the events of one conversation
            await self._apart(taken)
        except BaseException:
            _relog(taken)
            raise
        else:
            for channel, records in taken:
                _logged(channel, records)

    def _writes(self, channel: Channel) -> bool:
        """Return whether the log takes a channel's events: not those of an answer that may be another process's now.

        A process that stood still for longer than its leases finds out with its next heartbeat.
        """
        return not channel.holders or channel.expires > self._clock.monotonic()

    async def _apart(self, taken: list[tuple[Channel, list[EventRecord]]]) -> None:
        """Write each conversation by itself: one that was deleted elsewhere, or is odd, must not hold up the others."""
        while taken:
            channel, records = taken[0]
            try:
                await self._write(records, [])
            except StorageUnavailable:
                _relog(taken)
                raise
            except EudaiError as error:
                _log.warning("events of conversation %s cannot be kept: %s", channel.conversation_id, error.detail)
            except Exception:  # as above
                self._put_off(channel, records)
                del taken[0]
                continue
            except BaseException:
                _relog(taken)
                raise
            self._odd.pop(channel.conversation_id, None)
            _logged(channel, records)
            del taken[0]

    def _put_off(self, channel: Channel, records: list[EventRecord]) -> None:
        """Keep what cannot be written for the next batch, up to so many tries: the answers are stored at their ends."""
        tries = self._odd[channel.conversation_id] = self._odd.get(channel.conversation_id, 0) + 1
        if tries == 1:
            _log.exception("events of conversation %s cannot be kept now", channel.conversation_id)
        if tries < TRIES:
            channel.relog(records)
            return
        _log.error("events of conversation %s cannot be kept", channel.conversation_id)
        channel.logged(records)
        del self._odd[channel.conversation_id]

    async def _write(self, records: list[EventRecord], texts: list[tuple[UUID, str, str]]) -> None:
        async with self._storage.unit_of_work() as unit:
            if records:
                await unit.events.append(records)
            if texts:
                await unit.messages.save_partial(texts)
            await unit.commit()


def _logged(channel: Channel, records: list[EventRecord]) -> None:
    channel.logged(records)
    channel.log_grew()


def _relog(taken: list[tuple[Channel, list[EventRecord]]]) -> None:
    for channel, records in taken:
        channel.relog(records)


def _texts(channels: list[Channel]) -> list[tuple[UUID, str, str]]:
    answers = [channel.making for channel in channels if channel.making is not None]
    return [(answer.answer_id, answer.text.text, answer.thinking.text) for answer in answers]
