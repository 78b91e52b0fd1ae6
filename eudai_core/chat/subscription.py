"""A subscriber of a conversation: a cursor, not a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from eudai_core.chat.answer import LiveAnswer, LiveText, Reach
from eudai_core.chat.channel import Channel
from eudai_core.chat.frames import Frame, numbered
from eudai_core.chat.replay import Replay
from eudai_core.chat.snapshots import live_snapshot, present
from eudai_core.contracts import Storage
from eudai_core.errors import Draining, NotFound, StorageUnavailable

__all__ = ["Subscription"]

RETRY_S: Final = 0.5
"""Seconds until a reader that must read the log looks again whether the storage is back."""


class _Mark:
    """The present of a channel: what was given out, and how far its texts were."""

    __slots__ = ("epoch", "given", "seq")

    def __init__(self, channel: Channel) -> None:
        self.seq = channel.shown
        self.epoch = channel.epoch
        self.given: dict[UUID, tuple[int, int]] = {
            answer.run_id: (len(answer.thinking.text), len(answer.text.text)) for answer in channel.answers
        }


class Subscription:
    """What one reader has been given, and so what is due to it.

    Nothing is queued for a reader: while it is busy with what it got, the cursor stays, and the next call gives
    everything since, with the pieces of a text merged. Memory is bounded however slow it is: what is not kept in
    memory any more is read from the event log.
    """

    def __init__(self, channel: Channel, storage: Storage) -> None:
        self._channel = channel
        self._storage = storage
        self._wake = asyncio.Event()
        self._mark = _Mark(channel)
        self._backlog: Sequence[Frame] = ()
        self._replay: Replay | None = None
        self._seeking = False
        channel.wakers.add(self._wake)

    def close(self) -> None:
        """Stop listening."""
        self._channel.wakers.discard(self._wake)

    async def seek(self, after: int | None) -> None:
        """Begin anew after the event numbered ``after``, or, with None, at the present with a snapshot.

        What was missed comes from the event log and from what is on its way there; what follows comes from memory.
        A reader whose events were trimmed gets a snapshot of the newest answer in their place.

        Raises:
            NotFound: the conversation was deleted.
            StorageUnavailable: the log cannot be read; the reader stays where it was.
        """
        mark = _Mark(self._channel)
        if after is None and (self._channel.making is not None or not self._channel.shared):
            snapshot = live_snapshot(self._channel, mark.seq)
            self._begin(mark, None, () if snapshot is None else (snapshot,))
            return
        self._seeking = True
        try:
            if after is None:
                await self._join(mark)
            else:
                replay = Replay(self._channel, self._storage, after)
                self._begin(mark, replay, await replay.page())
        finally:
            self._seeking = False
            self._wake.set()

    async def next(self) -> Sequence[Frame]:
        """Wait until something is due, and give it, in order; a long past comes in several parts.

        Raises:
            NotFound: the conversation was deleted.
            Draining: the server is ending.
        """
        while True:
            frames = await self._due()
            if frames:
                return frames
            if self._replay is not None and not self._seeking:
                continue
            if self._channel.deleted:
                raise NotFound("The conversation was deleted.")
            if self._channel.over:
                raise Draining("The server is restarting. Come back in a moment.", retry_after=5)
            await self._wake.wait()
            self._wake.clear()

    async def _join(self, mark: _Mark) -> None:
        """Begin at what the log has: another process may be making an answer."""
        async with self._storage.unit_of_work(readonly=True) as unit:
            seq, snapshot = await present(unit, self._channel)
        mark.seq = max(mark.seq, seq)
        self._begin(mark, None, () if snapshot is None else (snapshot,))

    def _begin(self, mark: _Mark, replay: Replay | None, backlog: Sequence[Frame]) -> None:
        self._mark, self._replay, self._backlog = mark, replay, backlog
        self._wake.set()

    async def _due(self) -> Sequence[Frame]:
        if self._seeking:
            return ()
        if self._backlog:
            frames, self._backlog = self._backlog, ()
            return frames
        if self._replay is None and self._behind:
            self._begin(_Mark(self._channel), Replay(self._channel, self._storage, self._mark.seq), ())
        if self._replay is not None:
            return await self._replayed(self._replay)
        return self._present()

    @property
    def _behind(self) -> bool:
        """Whether memory does not hold all that is due."""
        return self._mark.seq < self._channel.dropped or self._mark.epoch != self._channel.epoch

    async def _replayed(self, replay: Replay) -> Sequence[Frame]:
        """Give the next page of the past."""
        if replay.done:
            self._mark.seq = max(self._mark.seq, replay.last)
            self._replay = None
            return await self._due()
        try:
            frames = await replay.page()
        except StorageUnavailable:
            if self._channel.deleted or self._channel.over:
                self._replay = None
            else:
                await asyncio.sleep(RETRY_S)
            return ()
        if self._replay is not replay:
            return ()  # the reader went elsewhere meanwhile
        if self._seeking:
            self._backlog = frames  # it is about to; if it cannot, this comes next
            return ()
        return frames

    def _present(self) -> list[Frame]:
        """Give what memory holds since the last time."""
        channel = self._channel
        if channel.shown <= self._mark.seq:
            return []
        due: list[Frame] = []
        for told in channel.since(self._mark.seq):
            if told.answer is not None:
                due += self._pieces(told.answer, told.reach)
            due.append(told.frame)
        for answer in channel.answers:
            due += self._pieces(answer, answer.reach)
        self._mark.seq = channel.shown
        present = {answer.run_id for answer in channel.answers}
        self._mark.given = {run_id: given for run_id, given in self._mark.given.items() if run_id in present}
        return due

    def _pieces(self, answer: LiveAnswer, reach: tuple[Reach, Reach]) -> Iterator[Frame]:
        """Give what the reader lacks of an answer, up to a point of its past or to its present."""
        given = self._mark.given.get(answer.run_id, (answer.thinking.start, answer.text.start))
        for part, had, (seq, length) in zip(answer.texts, given, reach, strict=True):
            if seq > self._mark.seq and had < length:
                yield self._piece(answer, part, had, seq, length)
        thinking, text = reach
        self._mark.given[answer.run_id] = (max(given[0], thinking[1]), max(given[1], text[1]))

    def _piece(self, answer: LiveAnswer, part: LiveText, given: int, seq: int, length: int) -> Frame:
        last = part.last
        if last is not None and last.seq == seq and last.payload["offset"] == given:
            return last
        payload = {
            "run_id": str(answer.run_id),
            "message_id": str(answer.answer_id),
            "offset": given,
            "content": part.text[given:length],
        }
        return numbered(part.kind, seq, self._channel.id_text, payload)
