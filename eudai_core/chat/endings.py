"""How runs end: exactly one ``bot_message`` for each, committed before it is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from eudai_core.chat import frames
from eudai_core.chat.answer import LiveAnswer
from eudai_core.chat.channel import Channel
from eudai_core.chat.channels import Channels, Overtaken
from eudai_core.chat.keeping import keep_again
from eudai_core.chat.order import Order, ordered
from eudai_core.chat.waiters import Waiters
from eudai_core.context import Assembly, check_citations
from eudai_core.contracts import Clock, Storage, UnitOfWork
from eudai_core.errors import BackendError, NotFound, StorageUnavailable
from eudai_core.model import Citation, CommandKind, Message, MessageStatus, Run, RunStatus, Segment, Usage
from eudai_core.services.notices import Notices

__all__ = ["UNTOLD", "Ending", "Endings"]

PAUSES: Final = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between the tries to store an end while the storage is down; later the lease runs out and others notice."""
ODD_TRIES: Final = 2
"""Failed tries of an end, though the storage works, after which it is stored as a plain failure."""
UNTOLD: Final = "The answer failed inside the server. The operator finds the reason in the log."
_log = logging.getLogger(__name__)


class _EndedElsewhere(Exception):  # noqa: N818 -- never leaves this module
    """The run has ended already, or is not this process's any more."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an answer ended, what it cost, what it was made from, and the error that ended it, if any.

    ``citations`` stand as they are given; without them the text is checked against ``segments``. ``unkept`` is what
    its context record is made from, when the record is to be stored with the end.
    """

    status: MessageStatus
    usage: Usage | None = None
    segments: Sequence[Segment] = ()
    error: Mapping[str, Any] | None = None
    unkept: Assembly | None = None
    citations: Sequence[Citation] | None = None


@dataclass(frozen=True, slots=True)
class _End:
    """An end that is to be stored. ``tried`` are the numbers of its event in commits that nobody confirmed."""

    channel: Channel
    run: Run
    final: Message
    owner: str | None
    unkept: Assembly | None
    tried: set[int] = field(default_factory=set)


class Endings:
    """Stores the ends of runs and tells them."""

    def __init__(self, storage: Storage, channels: Channels, clock: Clock, notices: Notices) -> None:
        self._storage = storage
        self._channels = channels
        self._clock = clock
        self._notices = notices
        self._hurried = asyncio.Event()
        self.waiters: Final = Waiters()

    def hurry(self) -> None:
        """Do not wait any longer for a storage that is down."""
        self._hurried.set()

    async def finish(
        self, channel: Channel, run: Run, answer: Message, live: LiveAnswer, ending: Ending, *, owner: str | None
    ) -> bool:
        """End a run: its last pieces, the message, the run and the log in one commit, then the events.

        ``owner`` is the process that has the run; None ends one whose lease ran out. Returns whether it ended here.
        When another process has ended it, or has it now, nothing is told: what is true is in the log.

        While the storage is down this is tried again for half a minute, unless it is hurried; then the text up to the
        last batch is in the log, and whoever finds the lease run out ends the run. An end that cannot be stored for
        another reason is tried once more, and then stored as a plain failure, with the text and nothing else.

        Raises:
            Exception: that could not be stored either; whoever finds the lease run out ends the run.
        """
        await channel.flush_all(live)
        plain = _End(channel, run, _failed(answer, live), owner, None)
        try:
            end = replace(plain, final=await _final(answer, live, ending), unkept=ending.unkept)
        except Exception:  # whatever is odd about it, the text is kept
            _log.exception("the end of run %s cannot be told as it was", run.id)
            end = plain
        odd = 0
        for pause in (*PAUSES, None):
            try:
                return not channel.deleted and await self._end(end)
            except NotFound:
                return False  # deleted, and the run with it
            except Exception as error:
                if not isinstance(error, StorageUnavailable | Overtaken):  # what is stored is odd, most likely
                    odd += 1
                    if odd > ODD_TRIES:
                        raise
                    _log.exception("the end of run %s cannot be stored as it is", run.id)
                    end = end if odd < ODD_TRIES else plain
                    continue
                if pause is None or self._hurried.is_set():
                    _log.warning("the end of run %s cannot be stored: %s", run.id, error)
                    break
            await self._pause(pause)
        return False

    async def _end(self, end: _End) -> bool:
        try:
            try:
                await self._store(end)
            except Overtaken:
                if not await self._channels.hold(end.channel):
                    raise _EndedElsewhere from None
                await self._store(end)
        except _EndedElsewhere:
            # By our own commit, perhaps, that nobody confirmed.
            ours = bool(end.tried) and await self._logged(end.run.id) in end.tried
            end.channel.forsake(end.run.id)
            if not ours:
                _log.info("run %s was ended by another process", end.run.id)
                self.waiters.ended(end.run.id)
                return False
        self._tell(end.run, end.final.status)
        return True

    async def _store(self, end: _End) -> None:
        run, final = end.run, end.final
        async with ordered(end.channel) as order, self._storage.unit_of_work() as unit:
            # The conversation is locked first, as by whoever deletes it: otherwise they could wait for each other.
            held = await self._channels.finish(end.channel, unit)
            status = RunStatus(str(final.status))
            if not await unit.runs.finish(run.id, status, owner=end.owner, at=self._clock.now()) or not held:
                raise _EndedElsewhere
            if final.error is not None:
                order.add("error", {"run_id": str(run.id), "message_id": str(final.id), **final.error}, run.id)
            end.tried.add(order.add("bot_message", frames.bot_message(final, run.id), run.id))
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
            if end.unkept is not None:
                await keep_again(unit, end.unkept)
            await unit.commit()

    async def stop_queued(self, channel: Channel, run: Run) -> bool:
        """Ask the owner of a run to stop it; one that is still queued ends here, with its answer, in one commit.

        Returns whether it ended here. While another process has the conversation it stays in the queue, and whoever
        claims it ends it.
        """
        work = asyncio.ensure_future(self._stop_queued(channel, run))
        return await asyncio.shield(work)  # who asked may leave; the end is told all the same

    async def _stop_queued(self, channel: Channel, run: Run) -> bool:
        async with ordered(channel) as order, self._storage.unit_of_work() as unit:
            held = await self._channels.lease(channel, unit, order)
            ended = await unit.runs.request_stop(run.id, at=self._clock.now(), end=held)
            if ended is not None:
                await self._store_stopped(unit, order, ended)
            await unit.commit()
        if ended is not None:
            self._tell(run, MessageStatus.STOPPED)
        return ended is not None

    async def _store_stopped(self, unit: UnitOfWork, order: Order, run: Run) -> None:
        """Store and tell the end of a run that was stopped in the queue, as what its answer was before."""
        answer = replace(await unit.messages.get(run.answer_id), status=MessageStatus.STOPPED)
        if not run.announced and run.kind is CommandKind.MESSAGE:
            question = await unit.messages.get(run.message_id)
            order.add("user_message", frames.user_message(question, run), run.id)
        order.add("bot_message", frames.bot_message(answer, run.id), run.id)
        await unit.events.append(order.records())
        await unit.messages.finish(
            answer.id,
            text=answer.text,
            thinking=answer.thinking,
            status=MessageStatus.STOPPED,
            usage=answer.usage,
            citations=answer.citations,
        )

    async def _logged(self, run_id: UUID) -> int | None:
        """Return the number of the end that the log has for a run."""
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            events = await unit.events.of_run(run_id)
        return next((event.seq for event in reversed(events) if event.type == "bot_message"), None)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurried.wait()
        except TimeoutError:
            return

    def _tell(self, run: Run, status: MessageStatus) -> None:
        self.waiters.ended(run.id)
        data = {"status": str(status), "conversation_id": str(run.conversation_id)}
        self._notices.tell("run", "ended", run.user_id, run.id, data)


async def _final(answer: Message, live: LiveAnswer, ending: Ending) -> Message:
    """Return the answer as it is stored at its end."""
    citations = ending.citations
    if citations is None:
        citations = await asyncio.to_thread(check_citations, live.text.text, ending.segments)
    return replace(
        answer,
        text=live.text.text,
        thinking=live.thinking.text,
        status=ending.status,
        usage=ending.usage,
        citations=citations,
        error=ending.error,
    )


def _failed(answer: Message, live: LiveAnswer) -> Message:
    """Return the answer as a plain failure."""
    return replace(
        answer,
        text=live.text.text,
        thinking=live.thinking.text,
        status=MessageStatus.FAILED,
        usage=None,
        citations=(),
        error=frames.error_payload(BackendError(UNTOLD)),
    )
