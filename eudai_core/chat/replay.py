"""What a reader missed, read from the event log page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eudai_core.chat.channel import Channel
from eudai_core.chat.frames import Frame, from_record
from eudai_core.chat.snapshots import newest_snapshot
from eudai_core.contracts import Storage
from eudai_core.model import EventRecord

__all__ = ["PAGE", "Replay", "merged"]

PAGE: Final = 256
"""Records that are read at once; a reader takes a page before the next one is read."""
PIECES: Final = frozenset({"delta", "thinking"})


class Replay:
    """The events after a number, up to what was given out when it began; what follows comes from memory.

    While no run of this process makes an answer, another process may: then the log is read to its end.
    """

    def __init__(self, channel: Channel, storage: Storage, after: int) -> None:
        self._channel = channel
        self._storage = storage
        self._last = after
        self._until: Final = channel.shown if channel.making is not None else None
        self._pending: Final = [record for record in channel.pending() if record.seq > after]
        self.done = self._until is not None and self._until <= after
        """Whether all pages were read."""

    @property
    def last(self) -> int:
        """The number up to which the pages that were read reach."""
        return self._last

    async def page(self) -> Sequence[Frame]:
        """Read the next page and return its events; it may hold none.

        When the log no longer reaches back to where the reader was, a snapshot of the newest answer stands for what
        is gone, and the rest of the log follows.

        Raises:
            StorageUnavailable: the storage is down; the page is read by the next call.
        """
        if self.done:
            return ()
        async with self._storage.unit_of_work(readonly=True) as unit:
            trimmed = await unit.events.trimmed(self._channel.conversation_id)
            if trimmed > self._last:
                snapshot = await newest_snapshot(unit, self._channel, trimmed)
                self._last = trimmed
                return () if snapshot is None else (snapshot,)
            records = await unit.events.after(self._channel.conversation_id, self._last, limit=PAGE)
        found = {record.seq: record for record in records if self._until is None or record.seq <= self._until}
        self.done = len(records) < PAGE or len(found) < len(records)
        if self.done:
            found.update((record.seq, record) for record in self._pending if record.seq > self._last)
        if found:
            self._last = max(found)
        return merged([found[seq] for seq in sorted(found)])


def merged(records: Sequence[EventRecord]) -> list[Frame]:
    """Return the frames of records, with neighbouring pieces of one text joined.

    Only neighbours: a reader that is cut off between two frames comes back with the number of the first, and must
    have had every piece that is numbered below it.
    """
    frames: list[Frame] = []
    run: list[EventRecord] = []
    for record in records:
        if run and not _continues(run[-1], record):
            frames.append(_joined(run))
            run = []
        run.append(record)
    if run:
        frames.append(_joined(run))
    return frames


def _continues(before: EventRecord, record: EventRecord) -> bool:
    return (
        record.type in PIECES
        and record.type == before.type
        and record.run_id == before.run_id
        and record.payload["offset"] == before.payload["offset"] + len(before.payload["content"])
    )


def _joined(run: Sequence[EventRecord]) -> Frame:
    if len(run) == 1:
        return from_record(run[0])
    payload = {**run[0].payload, "content": "".join(record.payload["content"] for record in run)}
    last = run[-1]
    return from_record(EventRecord(last.conversation_id, last.seq, last.run_id, last.type, payload))
