"""The whole application on the storage in memory: no database, no file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from eudai_core.app import Application
from eudai_core.contracts import EventBus, Registrar, SearchIndex, Storage
from eudai_core.hooks import hookimpl
from eudai_core.model import HealthStatus, MessageStatus, SearchDocument, SearchHit, SearchScope, Sender
from eudai_core.testing import MemoryStorage
from eudai_sql.bus import LocalEventBus
from support.chatting import SECRET, chatting

PLUGINS = ("eudai-auth", "eudai-content", "eudai-context", "eudai-ollama", "eudai-extractive", "eudai-export")
SETTINGS = {"EUDAI_STORAGE": "memory", "EUDAI_SEARCH_INDEX": "nothing", "EUDAI_EVENT_BUS": "here"}


class FindsNothing:
    """A search index that notes what it is given."""

    def __init__(self) -> None:
        self.documents: dict[UUID, SearchDocument] = {}

    async def put(self, documents: Sequence[SearchDocument]) -> None:
        self.documents.update((document.id, document) for document in documents)

    async def remove(self, key: UUID) -> None:
        self.documents.pop(key, None)

    async def search(
        self, terms: Mapping[str, float], *, scopes: Sequence[SearchScope], limit: int
    ) -> Sequence[SearchHit]:
        return ()


class MemoryPlugin:
    """Registers the storage in memory, and what else ``eudai-sql`` would."""

    eudai_api = (0, 1)

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage

    @hookimpl
    def eudai_register_storage(self, register: Registrar[Storage]) -> None:
        register("memory", lambda context: self._storage)

    @hookimpl
    def eudai_register_search_indexes(self, register: Registrar[SearchIndex]) -> None:
        register("nothing", lambda context: FindsNothing())

    @hookimpl
    def eudai_register_event_buses(self, register: Registrar[EventBus]) -> None:
        register("here", lambda context: LocalEventBus())


def plugins(storage: MemoryStorage) -> list[Any]:
    return [*PLUGINS, ("memory", MemoryPlugin(storage))]


async def test_chat_runs_on_it(tmp_path: Path) -> None:
    storage = MemoryStorage()
    async with chatting(tmp_path, overrides=SETTINGS, plugins=plugins(storage)) as chat:
        first = await chat.said("What is a fox?", client_id="c1")
        assert first.status is MessageStatus.COMPLETE
        assert first.text.strip()
        again = await chat.said("What is a fox?", client_id="c1")
        assert again.id == first.id
        await chat.said("And a vixen?")
        async with chat.follow(after=0) as follower:
            await follower.until("bot_message", 2)
        assert [message.sender for message in await chat.messages()] == [Sender.USER, Sender.LLM] * 2
        report = await chat.app.conversations.context(chat.identity, first.id)
        assert report["segments"]
        (listed,) = (await chat.app.conversations.list(chat.identity)).items
        assert listed.title
        assert (await chat.app.health()).checks["storage"].status is HealthStatus.OK
        await chat.app.projects.delete(chat.identity, chat.project.id)
        assert (await chat.app.conversations.list(chat.identity)).items == []


async def test_what_was_said_is_there_for_the_next_application(tmp_path: Path) -> None:
    storage = MemoryStorage()
    async with chatting(tmp_path, overrides=SETTINGS, plugins=plugins(storage)) as chat:
        said = await chat.said()
    settings = {**SETTINGS, "EUDAI_DATA_DIR": str(tmp_path), "EUDAI_SECRET_KEY": SECRET}
    async with Application.open(overrides=settings, environ={}, dotenv=None, plugins=plugins(storage)) as app:
        message = await app.conversations.message(chat.identity, said.id)
        assert message.text == said.text
