"""A conversation in this process: it numbers the events and hands them to subscribers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from eudai_core.chat.answer import LiveAnswer, LiveText
from eudai_core.chat.frames import Frame
from eudai_core.errors import EudaiError, StorageUnavailable
from eudai_core.model import EventRecord, Lease

__all__ = ["HEADROOM", "Channel", "Order"]

HEADROOM: Final = 100_000
"""How many numbers a lease gives: more than any answer has pieces."""
KEPT_FRAMES: Final = 512
RESERVE: Final = 64


class Order:
    """Events that are numbered before a commit and given out after it; see :meth:`Channel.ordered`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._frames: list[tuple[Frame, UUID | None]] = []
        self._before: list[EventRecord] = []
        self._leased: tuple[int, int, int] | None = None

    def add(self, kind: str, payload: Mapping[str, Any], run_id: UUID | None) -> None:
        """Number an event; it is given out when the ``async with`` ends without an exception."""
        self._frames.append((self._channel.frame(kind, payload), run_id))

    def records(self) -> list[EventRecord]:
        """Return what must be in the log before the events are given out: they, and all that stands before them."""
        self._before = self._channel.take_unlogged()
        own = [frame.record(self._channel.conversation_id, run_id) for frame, run_id in self._frames]
        return [*self._before, *own]

    def publish(self) -> None:
        """Give the events out; the commit is through."""
        self._channel.logged(self._before)
        for frame, _ in self._frames:
            self._channel.publish(frame)

    def renew(self, lease: Lease) -> None:
        """Take a lease in the same commit: it does not count when the commit is refused."""
        before = (self._channel.seq, self._channel.ceiling)
        self._channel.renew(lease)
        self._leased = (*before, self._channel.ceiling)

    def give_back(self, error: BaseException) -> None:
        """The commit was refused, or nobody knows.

        Nothing was published since the lease, so its numbers can be forgotten; unless they may be in the log, because
        the storage did not confirm.
        """
        refused = isinstance(error, EudaiError) and not isinstance(error, StorageUnavailable)
        if refused and self._leased is not None:
            self._channel.seq, before, after = self._leased
            if self._channel.ceiling == after:
                self._channel.ceiling = before
        self._channel.relog(self._before)


class Channel:
    """Numbers, texts and subscribers of one conversation.

    Frames are published in the order of their numbers. While an :class:`Order` is open, everything else waits, so
    that a number taken before a commit is never overtaken.
    """

    def __init__(self, conversation_id: UUID, project_id: UUID, seq: int) -> None:
        self.conversation_id: Final = conversation_id
        self.project_id: Final = project_id
        self.seq = seq
        """The last number taken."""
        self.shown = seq
        """The last number published; lower than ``seq`` while an Order is open."""
        self.closed = False
        self.answers: list[LiveAnswer] = []
        """The answer made last and the one being made, oldest first: two at most."""
        self.frames: deque[Frame] = deque(maxlen=KEPT_FRAMES)
        """What was published last, without pieces of texts."""
        self.wakers: set[asyncio.Event] = set()
        self.running = False
        """Whether a run of this process is making the last of ``answers``."""
        self.active = 0
        """How many runs and commands use the channel; with no waker either, it may be forgotten."""
        self.ceiling = 0
        """The last number that the lease allows."""
        self._lock = asyncio.Lock()
        self._held: list[tuple[str, Mapping[str, Any], UUID | None]] = []
        self._unlogged: list[EventRecord] = []
        self._in_flight: dict[int, EventRecord] = {}

    @property
    def id_text(self) -> str:
        """The conversation's id as events carry it."""
        return str(self.conversation_id)

    @property
    def may_number(self) -> bool:
        """Whether the lease has numbers left; some are kept back for the end of a run."""
        return self.seq < self.ceiling - RESERVE

    def renew(self, lease: Lease) -> None:
        """Take a lease. One that somebody else had meanwhile starts above everything they gave out."""
        if lease.floor > self.ceiling:
            self.seq = max(self.seq, lease.floor)
        self.ceiling = max(self.ceiling, lease.ceiling)

    def begin(self, answer: LiveAnswer) -> None:
        """A run starts to make an answer; set ``running`` to False when it ends."""
        self.answers = [*self.answers[-1:], answer]
        self.running = True

    def frame(self, kind: str, payload: Mapping[str, Any]) -> Frame:
        """Make the next numbered frame.

        Raises:
            RuntimeError: the channel holds no lease, or its numbers are used up; a caller's fault.
        """
        if self.seq >= self.ceiling:
            raise RuntimeError(f"conversation {self.conversation_id} has no lease to number a {kind} event")
        self.seq += 1
        head = {"type": kind, "seq": self.seq, "conversation_id": self.id_text}
        return Frame(kind, self.seq, {**head, **payload})

    def emit(self, kind: str, payload: Mapping[str, Any], run_id: UUID | None) -> None:
        """Give an event out now, and to the log with the next batch."""
        if self._lock.locked():
            self._held.append((kind, payload, run_id))
            return
        frame = self.frame(kind, payload)
        self._unlogged.append(frame.record(self.conversation_id, run_id))
        self.publish(frame)

    def flush(self) -> bool:
        """Give out what came in of the running answer; False when it must wait for the next tick."""
        if not self.answers:
            return True
        if self._lock.locked() or not self.may_number:
            return False
        answer = self.answers[-1]
        for part in answer.texts:
            if part.waiting:
                self._flush(answer, part)
        return True

    def publish(self, frame: Frame) -> None:
        """Hand a frame to the subscribers."""
        self.frames.append(frame)
        self.shown = frame.seq or self.shown
        self.wake()

    def wake(self) -> None:
        """Let every subscriber look for what is due."""
        for waker in self.wakers:
            waker.set()

    def close(self) -> None:
        """The conversation was deleted; nothing of it can be written any more."""
        self.closed = True
        self._unlogged.clear()
        self._in_flight.clear()
        self.wake()

    def take_unlogged(self) -> list[EventRecord]:
        """Return the events that the log lacks, to be written; then call :meth:`logged` or :meth:`relog` with them."""
        records, self._unlogged = self._unlogged, []
        for answer in self.answers:
            records += answer.take_unlogged(self.conversation_id)
        if self.closed:
            return []
        self._in_flight.update((record.seq, record) for record in records)
        return records

    def logged(self, records: Iterable[EventRecord]) -> None:
        """The records are in the log."""
        for record in records:
            self._in_flight.pop(record.seq, None)

    def relog(self, records: Iterable[EventRecord]) -> None:
        """The records may not have been written; they go with the next batch, and twice does no harm."""
        back = [record for record in records if self._in_flight.pop(record.seq, None) is not None]
        self._unlogged = back + self._unlogged

    def pending(self) -> list[EventRecord]:
        """Return the published events that are not known to be in the log, in order."""
        records = [*self._in_flight.values(), *self._unlogged]
        for answer in self.answers:
            records += answer.unlogged(self.conversation_id)
        return sorted((record for record in records if record.seq <= self.shown), key=lambda record: record.seq)

    @property
    def settled(self) -> bool:
        """Whether the log holds everything that was published."""
        return self.closed or not (
            self._in_flight or self._unlogged or any(answer.lacks_log for answer in self.answers)
        )

    @asynccontextmanager
    async def ordered(self) -> AsyncIterator[Order]:
        """Number events, commit them with what they tell, then give them out, nothing overtaking them.

        When the body raises, its numbers stay unused and nothing is given out.
        """
        try:
            async with self._lock:
                order = Order(self)
                try:
                    yield order
                except BaseException as error:
                    order.give_back(error)
                    raise
                order.publish()
        finally:
            held, self._held = self._held, []
            for kind, payload, run_id in held:
                self.emit(kind, payload, run_id)

    def _flush(self, answer: LiveAnswer, part: LiveText) -> None:
        offset, content = part.take()
        payload = {
            "run_id": str(answer.run_id),
            "message_id": str(answer.answer_id),
            "offset": offset,
            "content": content,
        }
        part.last = self.frame(part.kind, payload)
        part.seq = self.shown = self.seq
        self.wake()
