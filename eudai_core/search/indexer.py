"""The background loop that puts messages into the search index."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, SearchIndex, Storage
from eudai_core.errors import EudaiError, Unavailable
from eudai_core.model import Conversation, Event, Message, Passage, SearchCollection, SearchDocument, SearchScope
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import CHUNKERS, SEARCH_INDEXES

__all__ = ["MessageIndexer"]

BATCH: Final = 200
LOOK_S: Final = 30.0
"""How late messages are noticed that another process stored, or that no answer followed."""
DEBOUNCE_S: Final = 0.5
"""How long a notice waits for others: answers that end together are indexed together."""
WHOLE: Final = 4_000
"""Code points of a message up to which it is one passage; longer ones are cut, so that each part is found."""
_log = logging.getLogger(__name__)


class MessageIndexer:
    """Indexes the texts of messages that ended, each some time after its end; a turn never waits for it.

    What is indexed is noted on the message after it was stored in the index: cut off in between, it is indexed again,
    which changes nothing. Thinking is not indexed.
    """

    def __init__(self, host: PluginHost, storage: Storage, clock: Clock) -> None:
        """Index into the host's search index; without one, nothing is done."""
        self._host = host
        self._storage = storage
        self._clock = clock
        self._wake = asyncio.Event()

    def hear(self, event: Event) -> None:
        """Note that a run has ended; see eudai_core.services.notices."""
        if event.type == "run" and event.action == "ended":
            self._wake.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[MessageIndexer]:
        """Work as long as the block runs."""
        loop = asyncio.create_task(self._forever(), name="eudai-message-index")
        try:
            yield self
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)

    async def catch_up(self) -> int:
        """Index all that is not indexed, and return how many messages that were.

        Raises:
            Unavailable: storage or index is not there; what was done so far stays.
        """
        index = self._host.find(SEARCH_INDEXES)
        if index is None:
            return 0
        done = 0
        before: list[UUID] = []
        while True:
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                found = await unit.messages.unindexed(limit=BATCH)
            ids = [message.id for message, _ in found]
            # Those that are still there were written at this moment, and have a notice of their own.
            if not found or ids == before:
                return done
            await self._index(index, found)
            before = ids
            done += len(found)

    async def _forever(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            try:
                await self.catch_up()
                failures = 0
            except Exception as error:  # whatever is wrong with storage or index, the loop outlives it
                failures += 1
                _report(error, first=failures == 1)
            await self._rest()

    async def _rest(self) -> None:
        """Sleep until it is time to look again, or somebody wakes us."""
        waiting = [
            asyncio.ensure_future(self._wake.wait()),
            asyncio.ensure_future(self._clock.sleep(LOOK_S)),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if self._wake.is_set():
            await self._clock.sleep(DEBOUNCE_S)

    async def _index(self, index: SearchIndex, found: Sequence[tuple[Message, Conversation]]) -> None:
        documents: list[SearchDocument] = await self._host.run_blocking(self._documents, found)
        try:
            await index.put(documents)
        except Unavailable:
            raise
        except Exception:  # an index may fail in any way on one of them; the others must not wait for it for ever
            await self._one_by_one(index, documents)
        async with self._storage.unit_of_work() as unit:
            await unit.messages.mark_indexed({message.id: len(message.text) for message, _ in found})
            await unit.commit()

    async def _one_by_one(self, index: SearchIndex, documents: Iterable[SearchDocument]) -> None:
        for document in documents:
            try:
                await index.put([document])
            except Unavailable:
                raise
            except Exception as error:  # see above
                _log.warning("message %s is left out of the search index: %s", document.id, _reason(error))

    def _documents(self, found: Sequence[tuple[Message, Conversation]]) -> list[SearchDocument]:
        """Runs in a thread."""
        return [self._document(message, conversation) for message, conversation in found]

    def _document(self, message: Message, conversation: Conversation) -> SearchDocument:
        # Without the conversation's title, which changes, and would make every message of it a hit for its words.
        return SearchDocument(
            scope=SearchScope(conversation.project_id, SearchCollection.MESSAGES),
            id=message.id,
            version=1,
            name="",
            passages=self._passages(message.text),
            group=message.conversation_id,
            keeps_text=False,
        )

    def _passages(self, text: str) -> list[Passage]:
        if not text.strip():
            return []
        chunker = self._host.find(CHUNKERS)
        if len(text) <= WHOLE or chunker is None:
            return [Passage(0, 0, len(text), text)]
        # The heading is in the text, of which it would be a second copy.
        return [replace(passage, heading="") for passage in chunker.split(text, name="", media_type="text/markdown")]


def _report(error: Exception, *, first: bool) -> None:
    """Log an outage once, not at every try; an error that is none of ours with its traceback."""
    known = isinstance(error, EudaiError)
    level = logging.WARNING if first else logging.DEBUG
    _log.log(level, "indexing messages failed, and is tried again: %s", _reason(error), exc_info=not known)


def _reason(error: Exception) -> str:
    return error.detail if isinstance(error, EudaiError) else type(error).__name__
