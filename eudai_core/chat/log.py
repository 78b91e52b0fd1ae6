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

__all__ = ["EventLog"]

BATCH_S: Final = 0.2
PARTIAL_EVERY: Final = 15
"""How many batches apart the message rows get the text so far: every three seconds."""
_log = logging.getLogger(__name__)


class EventLog:
    """Writes what the channels published. A batch that fails is kept and written with the next one."""

    def __init__(self, storage: Storage, channels: Channels, clock: Clock) -> None:
        self._storage = storage
        self._channels = channels
        self._clock = clock
        self._failing = False

    async def run(self) -> None:
        """Write batches until cancelled."""
        count = 0
        while True:
            await self._clock.sleep(BATCH_S)
            count += 1
            await self.flush(partials=count % PARTIAL_EVERY == 0)
            self._channels.forget_idle()

    async def flush(self, *, partials: bool = False) -> None:
        """Write what the log lacks; never raises for a storage that is down."""
        taken = [(channel, records) for channel in self._channels if (records := channel.take_unlogged())]
        texts = self._texts() if partials else []
        if not taken and not texts:
            return
        try:
            await self._write([record for _, records in taken for record in records], texts)
        except StorageUnavailable as error:
            for channel, records in taken:
                channel.relog(records)
            if not self._failing:
                _log.warning("the event log cannot be written, its events are kept in memory: %s", error.detail)
            self._failing = True
        except EudaiError:
            await self._apart(taken)
        except BaseException:
            for channel, records in taken:
                channel.relog(records)
            raise
        else:
            self._failing = False
            for channel, records in taken:
                channel.logged(records)

    async def _apart(self, taken: list[tuple[Channel, list[EventRecord]]]) -> None:
        """Write each conversation by itself: one that was deleted elsewhere must not hold up the others."""
        for channel, records in taken:
            try:
                await self._write(records, [])
            except StorageUnavailable:
                channel.relog(records)
            except EudaiError as error:
                _log.warning("events of conversation %s cannot be kept: %s", channel.conversation_id, error.detail)
                channel.logged(records)
            else:
                channel.logged(records)

    async def _write(self, records: list[EventRecord], texts: list[tuple[UUID, str, str]]) -> None:
        async with self._storage.unit_of_work() as unit:
            if records:
                await unit.events.append(records)
            if texts:
                await unit.messages.save_partial(texts)
            await unit.commit()

    def _texts(self) -> list[tuple[UUID, str, str]]:
        return [partial for channel in self._channels if (partial := _partial(channel)) is not None]


def _partial(channel: Channel) -> tuple[UUID, str, str] | None:
    if not channel.running:
        return None
    answer = channel.answers[-1]
    return answer.answer_id, answer.text.text, answer.thinking.text
