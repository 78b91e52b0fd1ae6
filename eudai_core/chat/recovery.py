"""Ending the runs of processes that died, with every piece of text that reached the event log."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from eudai_core.chat.answer import LiveAnswer
from eudai_core.chat.channel import Channel
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
    """Finds runs whose owner is gone and ends them as interrupted.

    Also those of this process that it let go of, because their end could not be stored in time.
    """

    def __init__(self, storage: Storage, channels: Channels, endings: Endings, clock: Clock, instance: str) -> None:
        self._storage = storage
        self._channels = channels
        self._endings = endings
        self._clock = clock
        self._instance: Final = instance
        self._released: set[UUID] = set()
        """The runs of this process that went back into the queue: once each, as one may be what breaks it."""

    async def sweep(self, making: Collection[UUID] = (), *, at_start: bool = False) -> int:
        """End what was abandoned, but not what this process is ``making``; return how many runs.

        At the start of the only process of a database, all runs of others are: their process is dead.
        """
        everyone = at_start and self._storage.single_process
        if everyone:
            async with self._storage.unit_of_work() as unit:
                await unit.conversations.void_leases(except_owner=self._instance)
                await unit.commit()
        known, ended = set(making), 0
        while True:
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                found = await unit.runs.abandoned(
                    now=self._clock.now(), except_owner=self._instance if everyone else None, limit=BATCH, known=known
                )
            ended += await self._end_all(found)
            if len(found) < BATCH:
                return ended
            known.update(run.id for run in found)  # also those that could not be ended: others stand behind them

    async def _end_all(self, runs: Sequence[Run]) -> int:
        """End runs that nobody makes any more; those whose conversation another process holds are left to it."""
        ended = 0
        for run in runs:
            try:
                ended += await self._end(run)
            except NotFound:
                _log.info("run %s is gone with its conversation", run.id)
            except EudaiError as error:  # the others must not wait for this one; its lease stays run out
                _log.warning("run %s cannot be ended now: %s", run.id, error.detail)
            except Exception:  # a row that is odd, for one; as above
                _log.exception("run %s cannot be ended", run.id)
        return ended

    async def _end(self, run: Run) -> bool:
        async with self._channels.use(run.conversation_id) as channel:
            with channel.holding():
                if not await self._channels.hold(channel):
                    return False
                async with self._storage.unit_of_work(readonly=True) as unit:
                    run = await unit.runs.get(run.id)
                    if run.status is not RunStatus.RUNNING:
                        return False
                    answer = await unit.messages.get(run.answer_id)
                    events = await unit.events.of_run(run.id)
                if channel.live(run.id) is None and self._never_began(run, events):
                    await self._release(channel, run)
                    return False
                live = channel.live(run.id) or _rebuilt(run, answer, events)
                kept_citations = answer.citations if live.text.text == answer.text else ()
                ending = Ending(
                    MessageStatus.INTERRUPTED, answer.usage, error=INTERRUPTED, citations=kept_citations or None
                )
                ended = await self._endings.finish(channel, run, answer, live, ending, owner=None)
        if ended:
            kept = len(live.text.text)
            _log.warning("run %s was interrupted: %d characters of its answer were kept", run.id, kept)
        return ended

    def _never_began(self, run: Run, events: Sequence[EventRecord]) -> bool:
        """Return whether nothing of an answer was made, so that its question can be answered after all.

        What is not announced has not begun. Of what is, this process knows its own only: a claim that it was not told
        of. One of a process that died may be what it died of.
        """
        if not run.announced:
            return True
        own = run.owner == self._instance and run.id not in self._released
        return own and all(event.type == "user_message" for event in events)

    async def _release(self, channel: Channel, run: Run) -> None:
        """Put a run back into the queue."""
        async with self._storage.unit_of_work() as unit:
            await self._channels.finish(channel, unit)
            if run.owner is not None and await unit.runs.release(run.id, owner=run.owner):
                _log.warning("run %s had not begun and is queued once more", run.id)
            await unit.commit()
        self._released.add(run.id)


def rebuild(answer: Message, events: Sequence[EventRecord]) -> tuple[str, str]:
    """Return the text and the thinking of an answer: its row, completed by the pieces in the log, by their offsets."""
    texts = {"delta": answer.text, "thinking": answer.thinking}
    for event in events:
        if event.type in texts:
            text, offset, content = texts[event.type], event.payload["offset"], event.payload["content"]
            if offset <= len(text) < offset + len(content):
                texts[event.type] = text[:offset] + content
    return texts["delta"], texts["thinking"]


def _rebuilt(run: Run, answer: Message, events: Sequence[EventRecord]) -> LiveAnswer:
    text, thinking = rebuild(answer, events)
    return LiveAnswer(answer.id, run.id, text=text, thinking=thinking)
