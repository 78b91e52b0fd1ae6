"""An application with a user and a project, whose pages come from a fetcher of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eudai_core.app import Application
from eudai_core.contracts import BlobStore, Clock, FetchedPage
from eudai_core.hooks import hookimpl
from eudai_core.ids import new_id
from eudai_core.model import Event, Identity, Project, User
from eudai_core.plugins.roles import BLOB_STORES
from eudai_core.services import Upload
from eudai_core.testing import FrozenClock
from support.databases import chosen

__all__ = ["DEFAULTS", "Fetcher", "FetcherPlugin", "Shelf", "open_shelf", "uploads"]

DEFAULTS = ("eudai-sql", "eudai-auth", "eudai-content", "eudai-context", "eudai-export", "eudai-extractive")
"""The default plugins that need nothing outside of this process."""
SECRET = "a secret of the tests, longer than 32 bytes"


@dataclass
class Fetcher:
    """A URLFetcher over a dictionary: an address's page is a text, bytes, or an error to raise."""

    pages: dict[str, str | bytes | Exception] = field(default_factory=dict)
    media_type: str = "text/plain; charset=utf-8"
    title: str = ""
    asked: list[str] = field(default_factory=list)
    closed: int = 0
    before: Callable[[str], Any] | None = None

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncIterator[FetchedPage]:
        """Give a page; ``before`` is awaited first."""
        self.asked.append(url)
        page = self.pages[url]
        if self.before is not None:
            await self.before(url)
        if isinstance(page, Exception):
            raise page
        try:
            yield FetchedPage(url, self.media_type, self.title, self._pieces(page))
        finally:
            self.closed += 1

    @staticmethod
    async def _pieces(page: str | bytes) -> AsyncIterator[bytes]:
        data = page.encode() if isinstance(page, str) else page
        for start in range(0, len(data), 7):
            yield data[start : start + 7]


class FetcherPlugin:
    """Registers a fetcher for http and https, and keeps the events."""

    eudai_api = (0, 1)

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self.heard = asyncio.Event()
        self._events: list[Event] = []

    def of(self, kind: str) -> list[Event]:
        """Return the events of a kind so far; ``heard`` is set when there are more."""
        self.heard.clear()
        return [event for event in self._events if event.type == kind]

    @hookimpl
    def eudai_register_url_fetchers(self, register: Any) -> None:
        for scheme in ("http", "https"):
            register(scheme, lambda context: self._fetcher)

    @hookimpl
    async def eudai_on_event(self, event: Event) -> None:
        self._events.append(event)
        self.heard.set()


@dataclass
class Shelf:
    """A project and what is put into it."""

    app: Application
    identity: Identity
    project: Project
    fetcher: Fetcher
    plugin: FetcherPlugin

    @property
    def blobs(self) -> BlobStore:
        return self.app.host.one(BLOB_STORES)

    async def idle(self) -> None:
        """Wait until no job is due."""
        await self.app.jobs.idle()

    def kept(self) -> list[Path]:
        """Return the blobs on the disk."""
        folders = {"files", "pages"}
        return [path for path in self.app.core.data_dir.rglob("*") if path.is_file() and folders & set(path.parts)]

    async def found(self, words: str) -> list[str]:
        """Return the passages that the index finds, best first."""
        from eudai_core.model import SearchScope
        from eudai_core.plugins.roles import SEARCH_INDEXES
        from eudai_core.text import tokenise

        index = self.app.host.one(SEARCH_INDEXES)
        terms = dict.fromkeys(tokenise(words), 1.0)
        hits = await index.search(terms, scopes=[SearchScope(self.project.id)], limit=10)
        return [hit.passage.text for hit in hits]

    async def told(self, kind: str, count: int) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the actions and data of the first ``count`` events of a kind."""
        async with asyncio.timeout(10):
            while len(self.plugin.of(kind)) < count:
                await self.plugin.heard.wait()
        return [(event.action, event.data) for event in self.plugin.of(kind)]


async def uploads(*files: tuple[str, bytes]) -> AsyncIterator[Upload]:
    """Give files as an upload does."""

    async def chunks(data: bytes) -> AsyncIterator[bytes]:
        yield data

    for name, data in files:
        yield Upload(name, chunks(data))


@asynccontextmanager
async def open_shelf(
    data_dir: Path, *, clock: Clock | None = None, fetching: bool = True, overrides: Mapping[str, str] | None = None
) -> AsyncIterator[Shelf]:
    """Open an application; without ``fetching`` it has no URL fetcher."""
    fetcher = Fetcher()
    plugin = FetcherPlugin(fetcher)
    settings = {"EUDAI_DATA_DIR": str(data_dir), "EUDAI_SECRET_KEY": SECRET, "EUDAI_MAX_UPLOAD_MB": "1"}
    settings |= {**chosen(), **(overrides or {})}
    plugins = [*DEFAULTS, *([("fetcher", plugin)] if fetching else [])]
    clock = clock or FrozenClock()
    async with Application.open(overrides=settings, environ={}, dotenv=None, plugins=plugins, clock=clock) as app:
        user = User(new_id(), "ada", "ada@example.org", clock.now())
        async with app.storage.unit_of_work() as unit:
            await unit.users.add(user, "no hash")
            await unit.commit()
        identity = Identity(user.id, "ada")
        project = await app.projects.create(identity, name="Garden")
        yield Shelf(app, identity, project, fetcher, plugin)
