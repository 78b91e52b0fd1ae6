"""The event log of conversations, and what each run saw."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from eudai_core.model import ContextRecord, EventRecord, RunStatus
from eudai_core.testing._memory.owned import own_text
from eudai_core.testing._memory.state import State
from eudai_core.testing._memory.transaction import Repository
from eudai_core.testing._memory.values import insert, kept, required

__all__ = ["MemoryContexts", "MemoryEvents"]

_ACTIVE: Final = (RunStatus.QUEUED, RunStatus.RUNNING)


class MemoryEvents(Repository):
    """See eudai_core.contracts.Events."""

    __slots__ = ()

    async def append(self, events: Sequence[EventRecord]) -> None:
        """Store events of any number of conversations; numbers stored already are left alone."""
        state = await self._tx.writing()
        for event in kept(events):
            required(state.conversations, event.conversation_id, "conversation")
            state.events.setdefault((event.conversation_id, event.seq), event)

    async def after(self, conversation_id: UUID, seq: int, *, limit: int) -> Sequence[EventRecord]:
        """Return the events numbered above ``seq``, in order."""
        events = (await self._tx.reading()).events
        found = sorted(key for key in events if key[0] == conversation_id and key[1] > seq)
        return [kept(events[key]) for key in found[:limit]]

    async def of_run(self, run_id: UUID) -> Sequence[EventRecord]:
        """Return every event of a run that is in the log, in order."""
        events = (await self._tx.reading()).events
        return [kept(event) for _, event in sorted(events.items(), key=lambda row: row[0]) if event.run_id == run_id]

    async def trim(self, *, ended_before: datetime, limit: int) -> int:
        """Forget the events of up to ``limit`` runs that ended before a time; return of how many runs."""
        state = await self._tx.writing()
        due = sorted((at, key) for key, at in state.ended.items() if at < ended_before and not _must_wait(state, key))
        for _, run_id in due[:limit]:
            del state.ended[run_id]
            last = max(_numbers(state, run_id), default=0)
            conversation_id = state.runs[run_id].conversation_id
            row = state.numbering[conversation_id]
            state.numbering[conversation_id] = replace(row, trimmed=max(row.trimmed, last))
            gone = [key for key in state.events if key[0] == conversation_id and key[1] <= last]
            for key in gone:
                del state.events[key]
        return len(due[:limit])

    async def trimmed(self, conversation_id: UUID) -> int:
        """Return the number up to which the log of a conversation was trimmed; 0 when it is whole."""
        return required((await self._tx.reading()).numbering, conversation_id, "conversation").trimmed


class MemoryContexts(Repository):
    """See eudai_core.contracts.Contexts."""

    __slots__ = ()

    async def put(self, record: ContextRecord, texts: Mapping[str, str]) -> None:
        """Store a record and the texts not stored yet; those of a document that is gone are not stored."""
        state = await self._tx.writing()
        required(state.conversations, record.conversation_id, "conversation")
        insert(state.contexts, (record.run_id, record.step), record, "context record")
        documents = _documents(record)
        rows: dict[str, Container[UUID]] = {"file": state.files, "url": state.urls}
        for sha256, text in kept(texts).items():
            if sha256 not in documents:
                own_text(state, sha256, text, record.conversation_id)
            for kind, key in documents.get(sha256, ()):
                if key in rows[kind]:
                    own_text(state, sha256, text, key)

    async def of_message(self, answer_id: UUID) -> ContextRecord | None:
        """Return the newest record of an answer, or None."""
        return (await self.of_messages([answer_id])).get(answer_id)

    async def of_messages(self, answer_ids: Sequence[UUID]) -> Mapping[UUID, ContextRecord]:
        """Return the newest records of several answers; without those that have none."""
        contexts = (await self._tx.reading()).contexts
        oldest_first = (contexts[key] for key in sorted(contexts))
        return {record.message_id: kept(record) for record in oldest_first if record.message_id in answer_ids}

    async def texts(self, hashes: Sequence[str]) -> Mapping[str, str]:
        """Return texts by hash; an erased one is missing."""
        texts = (await self._tx.reading()).texts
        return {sha256: texts[sha256] for sha256 in hashes if sha256 in texts}


def _numbers(state: State, run_id: UUID) -> list[int]:
    return [event.seq for event in state.events.values() if event.run_id == run_id]


def _must_wait(state: State, run_id: UUID) -> bool:
    """Tell whether another run, which has not ended, has an event before the last one of a run."""
    last, conversation_id = max(_numbers(state, run_id), default=0), state.runs[run_id].conversation_id
    others = [run.id for run in state.runs.values() if run.conversation_id == conversation_id and run.status in _ACTIVE]
    return any(seq < last for other in others for seq in _numbers(state, other))


def _documents(record: ContextRecord) -> Mapping[str, Collection[tuple[str, UUID]]]:
    """Return which files and pages each text was taken from, by hash."""
    found: defaultdict[str, set[tuple[str, UUID]]] = defaultdict(set)
    for segment in (*record.system, *record.user, *record.left_out):
        if segment.origin.type in {"file", "url"}:
            try:
                document = segment.origin.type, UUID(segment.origin.id)
            except ValueError:
                continue  # a plugin's own kind of document: its text belongs to the conversation
            found[segment.sha256].add(document)
    return found
