"""Ending the runs of processes that died, with every piece of text that reached the event log."""

from __future__ import annotations

import logging
from collections.abc import Container, Sequence
from typing import Final
from uuid import UUID

from eudai_core.chat.answer import LiveAnswer
from eudai_core.chat.channels import Channels
from eudai_core.chat.endings import Ending, Endings
from eudai_core.contracts import Clock, Storage
from eudai_core.errors import EudaiError, NotFound
from eudai_core.model import EventRecord, Message, MessageStatus, Run, RunStatus

__all__ = ["Recovery", "rebuild"]

BATCH: Final = 50
INTERRUPTED: Final = {
    "code": "interrupted",
    "title": "Answer interrupted",
    "detail": "The server stopped while it made this answer. Its text was kept: continue it, or ask for a new version.",
}
_log = logging.getLogger(__name__)


class Recovery:
    """Finds runs whose owner is gone and ends them as interrupted."""

    def __init__(self, storage: Storage, channels: Channels, endings: Endings, clock: Clock, instance: str) -> None:
        self._storage = storage
        self._channels = channels
        self._endings = endings
        self._clock = clock
        self._instance: Final = instance

    async def sweep(self, making: Container[UUID] = (), *, at_start: bool = False) -> int:
        """End what was abandoned, but not what this process is ``making``; return how many runs.

        At the start of the only process of a database, all runs of others are: their process is dead.
        """
        everyone = at_start and self._storage.single_process
        if everyone:
            async with self._storage.unit_of_work() as unit:
                await unit.conversations.void_leases(except_owner=self._instance)
                await unit.commit()
        async with self._storage.unit_of_work(readonly=True) as unit:
            found = await unit.runs.abandoned(
                now=self._clock.now(), except_owner=self._instance if everyone else None, limit=BATCH
            )
        return await self.end([run for run in found if run.id not in making])

    async def end(self, runs: Sequence[Run]) -> int:
        """End runs that nobody makes any more; those whose conversation another process holds are left to it."""
        ended = 0
        for run in runs:
            try:
                ended += await self._end(run)
            except NotFound:
                _log.info("run %s is gone with its conversation", run.id)
            except EudaiError as error:  # the others must not wait for this one; its lease stays run out
                _log.warning("run %s cannot be ended now: %s", run.id, error.detail)
        return ended

    async def _end(self, run: Run) -> bool:
        async with self._channels.use(run.conversation_id) as channel:
            if not await self._channels.hold(channel):
                return False
            async with self._storage.unit_of_work(readonly=True) as unit:
                if (await unit.runs.get(run.id)).status is not RunStatus.RUNNING:
                    return False
                answer = await unit.messages.get(run.answer_id)
                events = await unit.events.of_run(run.id)
            text, thinking = rebuild(answer, events)
            live = LiveAnswer(answer.id, run.id, text=text, thinking=thinking)
            ending = Ending(MessageStatus.INTERRUPTED, answer.usage, error=INTERRUPTED)
            stored = await self._endings.finish(channel, run, answer, live, ending)
        _log.warning("run %s was interrupted: %d characters of its answer were kept", run.id, len(text))
        return stored is not None


def rebuild(answer: Message, events: Sequence[EventRecord]) -> tuple[str, str]:
    """Return the text and the thinking of an answer: its row, completed by the pieces in the log, by their offsets."""
    texts = {"delta": answer.text, "thinking": answer.thinking}
    for event in events:
        if event.type in texts:
            text, offset, content = texts[event.type], event.payload["offset"], event.payload["content"]
            if offset <= len(text) < offset + len(content):
                texts[event.type] = text[:offset] + content
    return texts["delta"], texts["thinking"]
