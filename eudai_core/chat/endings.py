"""How runs end: exactly one ``bot_message`` for each, committed before it is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from eudai_core.chat import frames
from eudai_core.chat.answer import LiveAnswer
from eudai_core.chat.channel import Channel
from eudai_core.chat.channels import Channels
from eudai_core.context import check_citations
from eudai_core.contracts import Clock, Storage
from eudai_core.errors import StorageUnavailable
from eudai_core.model import Citation, Message, MessageStatus, Run, RunStatus, Segment, Usage
from eudai_core.services.notices import Notices

__all__ = ["Ending", "Endings"]

PAUSES: Final = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between the tries to store an end while the storage is down; later the lease runs out and others notice."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ended, what it cost, what it was made from, and the error that ended it, if any."""

    status: MessageStatus
    usage: Usage | None = None
    segments: Sequence[Segment] = ()
    error: Mapping[str, Any] | None = None


class Endings:
    """Stores the ends of runs and tells them."""

    def __init__(self, storage: Storage, clock: Clock, notices: Notices) -> None:
        self._storage = storage
        self._clock = clock
        self._notices = notices
        self._waiters: dict[UUID, asyncio.Event] = {}

    async def finish(
        self, channel: Channel, run: Run, answer: Message, live: LiveAnswer, ending: Ending
    ) -> Message | None:
        """End a run: its last pieces, the message, the run and the log in one commit, then the events.

        While the storage is down this is tried again for half a minute; then None is returned, the text up to the
        last batch is in the log, and whoever finds the lease run out ends the run.
        """
        citations: Sequence[Citation] | None = None
        for pause in (*PAUSES, None):
            while not channel.flush() and channel.may_number:
                await self._clock.sleep(0.01)  # another commit of this conversation is under way
            if citations is None:
                citations = await asyncio.to_thread(check_citations, live.text.text, ending.segments)
            final = replace(
                answer,
                text=live.text.text,
                thinking=live.thinking.text,
                status=ending.status,
                usage=ending.usage,
                citations=citations,
                error=ending.error,
            )
            try:
                await self._store(channel, run, final)
                return final
            except StorageUnavailable as error:
                _log.warning("the end of run %s cannot be stored now: %s", run.id, error.detail)
                if pause is not None:
                    await self._clock.sleep(pause)
        return None

    async def _store(self, channel: Channel, run: Run, final: Message) -> None:
        async with channel.ordered() as order:
            if final.error is not None:
                order.add("error", {"run_id": str(run.id), "message_id": str(final.id), **final.error}, run.id)
            order.add("bot_message", frames.bot_message(final, run.id), run.id)
            async with self._storage.unit_of_work() as unit:
                await unit.events.append(order.records())
                await unit.messages.finish(
                    final.id,
                    text=final.text,
                    thinking=final.thinking,
                    status=final.status,
                    usage=final.usage,
                    citations=final.citations,
                    error=final.error,
                )
                await unit.runs.finish(run.id, RunStatus(str(final.status)), at=self._clock.now())
                await unit.commit()
        self.ended(run.id)
        data = {"status": str(final.status), "conversation_id": str(run.conversation_id)}
        self._notices.tell("run", "ended", run.user_id, run.id, data)

    async def stop_queued(self, channel: Channel, channels: Channels, run: Run) -> None:
        """Ask the owner of a run to stop it; one that is still queued ends here, with its answer, in one commit."""
        work = asyncio.ensure_future(self._stop_queued(channel, channels, run))
        await asyncio.shield(work)  # who asked may leave; the end is told all the same

    async def _stop_queued(self, channel: Channel, channels: Channels, run: Run) -> None:
        async with channel.ordered() as order, self._storage.unit_of_work() as unit:
            before = await unit.runs.get(run.id)
            await unit.runs.request_stop(run.id)
            if before.status is RunStatus.QUEUED:
                answer = replace(await unit.messages.get(run.answer_id), status=MessageStatus.STOPPED)
                if await channels.lease(channel, unit, order):
                    order.add("bot_message", frames.bot_message(answer, run.id), run.id)
                    await unit.events.append(order.records())
                await unit.messages.finish(
                    answer.id, text=answer.text, thinking=answer.thinking, status=MessageStatus.STOPPED
                )
            await unit.commit()
        self.ended(run.id)

    def ended(self, run_id: UUID) -> None:
        """Wake those who wait for a run."""
        waiter = self._waiters.pop(run_id, None)
        if waiter is not None:
            waiter.set()

    async def wait(self, run_id: UUID, seconds: float) -> None:
        """Return when a run of this process ends, or after ``seconds``."""
        waiter = self._waiters.setdefault(run_id, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await waiter.wait()
        except TimeoutError:
            return
