"""A subscriber of a conversation: a cursor, not a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from uuid import UUID

from eudai_core.chat.answer import LiveAnswer, LiveText
from eudai_core.chat.channel import Channel
from eudai_core.chat.frames import Frame, from_record
from eudai_core.contracts import Storage
from eudai_core.errors import NotFound
from eudai_core.model import EventRecord

__all__ = ["Subscription"]

PAGE = 1000


class Subscription:
    """What one reader has been given, and so what is due to it.

    Nothing is queued for a reader: while it is busy with what it got, the cursor stays, and the next call gives
    everything since, with the pieces of a text merged. Memory is bounded however slow it is.
    """

    def __init__(self, channel: Channel, storage: Storage) -> None:
        self._channel = channel
        self._storage = storage
        self._wake = asyncio.Event()
        self._seq = channel.shown
        self._given: dict[UUID, tuple[int, int]] = {}
        self._backlog: list[Frame] = []
        self._seeking = False
        channel.wakers.add(self._wake)

    def close(self) -> None:
        """Stop listening."""
        self._channel.wakers.discard(self._wake)

    async def seek(self, after: int | None) -> None:
        """Begin anew after the event numbered ``after``, or, with None, at the present with a snapshot.

        What was missed comes from the event log and from what is on its way there; what follows comes from memory.
        """
        if after is None:
            self._mark()
            self._backlog = [frame for frame in (self._snapshot(),) if frame is not None]
            self._wake.set()
            return
        pending = [record for record in self._channel.pending() if record.seq > after]
        before = self._seq, self._given, self._backlog
        self._mark()
        self._backlog = []
        self._seeking = True
        try:
            missed = await self._missed(after, self._seq)
        except BaseException:
            self._seq, self._given, self._backlog = before  # a refused resume changes nothing
            raise
        finally:
            self._seeking = False
            self._wake.set()
        missed.update((record.seq, record) for record in pending)
        self._backlog = [from_record(missed[seq]) for seq in sorted(missed)]

    async def next(self) -> Sequence[Frame]:
        """Wait until something is due, and give all of it, in order.

        Raises:
            NotFound: the conversation was deleted.
        """
        while True:
            frames = self._due()
            if frames:
                return frames
            if self._channel.closed:
                raise NotFound("The conversation was deleted.")
            await self._wake.wait()
            self._wake.clear()

    def _mark(self) -> None:
        self._seq = self._channel.shown
        self._given = {
            answer.run_id: (len(answer.thinking.text), len(answer.text.text)) for answer in self._channel.answers
        }

    def _snapshot(self) -> Frame | None:
        channel = self._channel
        if not channel.running:
            return None
        answer = channel.answers[-1]
        payload = {
            "type": "snapshot",
            "seq": channel.shown,
            "conversation_id": channel.id_text,
            "run_id": str(answer.run_id),
            "message_id": str(answer.answer_id),
            "content": answer.text.text,
            "thinking": answer.thinking.text,
        }
        return Frame("snapshot", channel.shown, payload)

    async def _missed(self, after: int, reached: int) -> dict[int, EventRecord]:
        missed: dict[int, EventRecord] = {}
        while after < reached:
            async with self._storage.unit_of_work(readonly=True) as unit:
                page = await unit.events.after(self._channel.conversation_id, after, limit=PAGE)
            missed.update((record.seq, record) for record in page if record.seq <= reached)
            if len(page) < PAGE:
                break
            after = page[-1].seq
        return missed

    def _due(self) -> list[Frame]:
        if self._backlog:
            frames, self._backlog = self._backlog, []
            return frames
        channel = self._channel
        if self._seeking or channel.shown == self._seq:
            return []
        due = [frame for frame in channel.frames if (frame.seq or 0) > self._seq]
        for answer in channel.answers:
            due += self._pieces(answer)
        due.sort(key=lambda frame: frame.seq or 0)
        self._seq = channel.shown
        present = {answer.run_id for answer in channel.answers}
        self._given = {run_id: given for run_id, given in self._given.items() if run_id in present}
        return due

    def _pieces(self, answer: LiveAnswer) -> Iterator[Frame]:
        begun = (answer.thinking.start, answer.text.start)
        thinking, text = self._given.get(answer.run_id, begun)
        for part, given in ((answer.thinking, thinking), (answer.text, text)):
            frame = self._piece(answer, part, given)
            if frame is not None:
                yield frame
        self._given[answer.run_id] = (len(answer.thinking.text), len(answer.text.text))

    def _piece(self, answer: LiveAnswer, part: LiveText, given: int) -> Frame | None:
        if part.seq <= self._seq or given >= len(part.text):
            return None
        last = part.last
        if last is not None and last.payload["offset"] == given:
            return last
        payload = {
            "type": part.kind,
            "seq": part.seq,
            "conversation_id": self._channel.id_text,
            "run_id": str(answer.run_id),
            "message_id": str(answer.answer_id),
            "offset": given,
            "content": part.text[given:],
        }
        return Frame(part.kind, part.seq, payload)
