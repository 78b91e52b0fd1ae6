"""A conversation in this process: it numbers the events and hands them to subscribers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, NamedTuple
from uuid import UUID

from eudai_core.chat.answer import LiveAnswer, LiveText, Reach
from eudai_core.chat.frames import Frame, numbered
from eudai_core.model import EventRecord, Lease

__all__ = ["HEADROOM", "KEPT_FRAMES", "RESERVE", "Channel", "Told"]

HEADROOM: Final = 100_000
"""How many numbers a lease gives: more than most answers have pieces; a running answer takes more in time."""
KEPT_FRAMES: Final = 512
RESERVE: Final = 64
"""Numbers of a lease that are kept back for the end of a run."""


class Told(NamedTuple):
    """A frame that was given out, and how far the texts of the answer of that time were given out before it."""

    frame: Frame
    answer: LiveAnswer | None
    reach: tuple[Reach, Reach]


class Channel:
    """Numbers, texts and subscribers of one conversation.

    Frames are published in the order of their numbers. While an Order is open (see eudai_core.chat.order), everything
    else waits, so that a number taken before a commit is never overtaken.
    """

    def __init__(
        self, conversation_id: UUID, project_id: UUID, seq: int, tell: Callable[[UUID], None] | None = None
    ) -> None:
        """Begin after the event numbered ``seq``; ``tell`` is called when the log has more, if others may number."""
        self._tell: Final = tell
        self.conversation_id: Final = conversation_id
        self.project_id: Final = project_id
        self.seq = seq
        """The last number taken."""
        self.shown = seq
        """The last number published; lower than ``seq`` while an Order is open."""
        self.dropped = 0
        """The number of the newest frame that is not kept in memory any more."""
        self.epoch = 0
        """Rises when what was given out may not be the truth: then every subscriber goes on from the log."""
        self.deleted = False
        self.over = False
        """Whether this process ends its subscriptions, because it ends itself."""
        self.answers: list[LiveAnswer] = []
        """The answer made last and the one being made, oldest first: two at most."""
        self.making: LiveAnswer | None = None
        """The answer that a run of this process is making."""
        self.wakers: set[asyncio.Event] = set()
        self.active = 0
        """How many runs and commands use the channel; with no waker either, it may be forgotten."""
        self.holders = 0
        """How many runs of this process need the lease."""
        self.ceiling = 0
        """The last number that the lease allows."""
        self.expires = float("-inf")
        """Until when, on the monotonic clock, the lease is known to be this process's."""
        self.lapses = 0
        """How often a lease was given up before it ran out."""
        self.lock: Final = asyncio.Lock()
        self._frames: deque[Told] = deque(maxlen=KEPT_FRAMES)
        self._held: list[tuple[str, Mapping[str, Any], UUID | None]] = []
        self._unlogged: list[EventRecord] = []
        self._in_flight: dict[int, EventRecord] = {}

    @property
    def id_text(self) -> str:
        """The conversation's id as events carry it."""
        return str(self.conversation_id)

    @property
    def shared(self) -> bool:
        """Whether another process may number events of the conversation."""
        return self._tell is not None

    @property
    def may_number(self) -> bool:
        """Whether the lease has numbers left; some are kept back for the end of a run."""
        return self.seq < self.ceiling - RESERVE

    @property
    def low(self) -> bool:
        """Whether a running answer should take more numbers."""
        return self.making is not None and self.seq > self.ceiling - HEADROOM // 2

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Have leases last while a run makes, or ends, an answer."""
        self.holders += 1
        try:
            yield
        finally:
            self.holders -= 1

    def renew(self, lease: Lease, expires: float, *, above: int = 0) -> None:
        """Take a lease that is committed; the numbers up to ``above`` are used already.

        One that somebody else had meanwhile starts above all they gave out: then subscribers read theirs in the log,
        and what the log lacks of this process is numbered anew.
        """
        if lease.floor > self.ceiling:
            self._go_above(max(self.seq, lease.floor, above))
        self.ceiling = max(self.ceiling, lease.ceiling)
        self.expires = expires

    def lapse(self) -> None:
        """Give the lease up."""
        self.expires = float("-inf")
        self.lapses += 1

    def begin(self, answer: LiveAnswer) -> None:
        """A run starts to make an answer."""
        self.answers = [*self.answers[-1:], answer]
        self.making = answer

    def end(self, answer: LiveAnswer) -> None:
        """The run that made an answer is over; another one may have begun meanwhile."""
        if self.making is answer:
            self.making = None

    def live(self, run_id: UUID) -> LiveAnswer | None:
        """Return the answer that a run of this process makes or made, while it is in memory."""
        return next((answer for answer in self.answers if answer.run_id == run_id), None)

    def forsake(self, run_id: UUID) -> None:
        """Forget a run: somebody else has told, or will tell, its end. Subscribers go on from the log."""
        self.answers = [answer for answer in self.answers if answer.run_id != run_id]
        if self.making is None or self.making.run_id == run_id:
            self.making = None
            self.lapse()
        self._unlogged = [record for record in self._unlogged if record.run_id != run_id]
        self._in_flight = {seq: record for seq, record in self._in_flight.items() if record.run_id != run_id}
        self.read_on()

    def emit(self, kind: str, payload: Mapping[str, Any], run_id: UUID | None) -> None:
        """Give an event out now, and to the log with the next batch.

        Raises:
            RuntimeError: the channel holds no lease, or its numbers are used up; a caller's fault.
        """
        if self.lock.locked():
            self._held.append((kind, payload, run_id))
            return
        if self.seq >= self.ceiling:
            raise RuntimeError(f"conversation {self.conversation_id} has no lease to number a {kind} event")
        self.seq += 1
        frame = numbered(kind, self.seq, self.id_text, payload)
        self._unlogged.append(frame.record(self.conversation_id, run_id))
        self.publish(frame)

    def emit_held(self) -> None:
        """Give out what had to wait for a commit."""
        held, self._held = self._held, []
        for kind, payload, run_id in held:
            self.emit(kind, payload, run_id)

    def flush(self) -> bool:
        """Give out what came in of the running answer; False when it must wait for the next tick."""
        if not self.answers:
            return True
        if self.lock.locked() or not self.may_number:
            return False
        self._give_out(self.answers[-1])
        return True

    async def flush_all(self, answer: LiveAnswer) -> None:
        """Give out the rest of an answer, with numbers that are kept for its end; without any, take it all the same."""
        async with self.lock:
            if self.seq < self.ceiling - RESERVE // 2 and self.answers[-1:] == [answer]:
                self._give_out(answer)
            for part in answer.texts:
                part.take()

    def read_on(self) -> None:
        """Have every subscriber go on from the log: another process may have written to it, or this one unseen."""
        self.epoch += 1
        self.wake()

    def log_grew(self) -> None:
        """Let other processes know that there is more in the log."""
        if self._tell is not None:
            self._tell(self.conversation_id)

    def publish(self, frame: Frame) -> None:
        """Hand a frame to the subscribers."""
        if len(self._frames) == KEPT_FRAMES:
            self.dropped = self._frames[0].frame.seq or self.dropped
        answer = self.answers[-1] if self.answers else None
        self._frames.append(Told(frame, answer, answer.reach if answer else ((0, 0), (0, 0))))
        self.shown = max(self.shown, frame.seq or 0)
        self.wake()

    def unsure(self, seq: int) -> None:
        """Skip the numbers up to ``seq``: a commit that nobody confirmed may have brought them into the log."""
        self.seq = max(self.seq, seq)
        self.shown = self.seq
        self.read_on()

    def since(self, seq: int) -> list[Told]:
        """Return the frames in memory that are numbered above ``seq``, in order, without pieces of texts."""
        newer = []
        for told in reversed(self._frames):
            if (told.frame.seq or 0) <= seq:
                break
            newer.append(told)
        return newer[::-1]

    def wake(self) -> None:
        """Let every subscriber look for what is due."""
        for waker in self.wakers:
            waker.set()

    def delete(self) -> None:
        """The conversation was deleted; nothing of it can be written any more."""
        self.deleted = True
        self._unlogged.clear()
        self._in_flight.clear()
        self.wake()

    def shut(self) -> None:
        """End every subscription: this process ends."""
        self.over = True
        self.wake()

    def take_unlogged(self) -> list[EventRecord]:
        """Return the events that the log lacks, to be written; then call :meth:`logged` or :meth:`relog` with them.

        They are in the order of their numbers: who writes the same ones at the same time never waits crosswise.
        """
        records, self._unlogged = self._unlogged, []
        for answer in self.answers:
            records += answer.take_unlogged(self.conversation_id)
        if self.deleted:
            return []
        records.sort(key=_number)
        self._in_flight.update((record.seq, record) for record in records)
        return records

    def take_all(self) -> list[EventRecord]:
        """Return what the log lacks and what is being written: nothing numbered higher may be there before it."""
        self.take_unlogged()
        return sorted(self._in_flight.values(), key=_number)

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
        return sorted((record for record in records if record.seq <= self.shown), key=_number)

    @property
    def settled(self) -> bool:
        """Whether the log holds everything that was published."""
        return self.deleted or not (
            self._in_flight or self._unlogged or any(answer.lacks_log for answer in self.answers)
        )

    def _go_above(self, seq: int) -> None:
        """Go on above ``seq``, up to which other processes gave out numbers while this one had no lease."""
        lacking = sorted([*self._in_flight.values(), *self._unlogged], key=_number)
        self._in_flight.clear()
        self._unlogged = [replace(record, seq=number) for number, record in enumerate(lacking, seq + 1)]
        self.seq = seq + len(lacking)
        for answer in self.answers:
            self.seq = answer.renumber(self.seq)
        changed = self.shared or self.seq > seq
        self.shown = self.seq
        if changed:
            self._frames.clear()
            self.dropped = self.shown
            self.read_on()

    def _give_out(self, answer: LiveAnswer) -> None:
        for part in answer.texts:
            if part.waiting:
                self._flush(answer, part)

    def _flush(self, answer: LiveAnswer, part: LiveText) -> None:
        offset, content = part.take()
        payload = {
            "run_id": str(answer.run_id),
            "message_id": str(answer.answer_id),
            "offset": offset,
            "content": content,
        }
        self.seq += 1
        part.last = numbered(part.kind, self.seq, self.id_text, payload)
        part.seq = self.shown = self.seq
        self.wake()


def _number(record: EventRecord) -> int:
    return record.seq
