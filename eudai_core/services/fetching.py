"""The job that fetches a page: address to bytes, bytes to the blob store, and on to ingest.

It asks the URL fetcher of the address's scheme, and no other part of the server opens an address of a user's. A page
that says the same as before makes no new version. A fetch that failed leaves what was fetched before as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from eudai_core.contracts import Storage, UnitOfWork, URLFetcher
from eudai_core.errors import InvalidInput, NotFound, PluginFault, Unavailable
from eudai_core.ids import new_id
from eudai_core.ingest import Ingest
from eudai_core.ingest.media_type import BINARY, PLAIN_TEXT, sniff
from eudai_core.model import DocumentStatus, DocumentVersion, Job, Url
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import URL_FETCHERS
from eudai_core.services.fields import storable
from eudai_core.services.intake import Batch, Intake, Taken
from eudai_core.services.notices import Notices

__all__ = ["FETCH_JOB", "FETCH_S", "UrlFetch", "schedule_fetch", "state_of"]

FETCH_JOB: Final = "url-fetch"
"""The kind of the jobs; the payload is ``{"url_id": …, "url": …}``, the key is made of both."""
FETCH_S: Final = 60.0
"""Seconds that a fetch may take, from the connection to the last byte."""
TITLE_LENGTH: Final = 300
ERROR_LENGTH: Final = 500
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}", re.ASCII)
_VAGUE: Final = frozenset({BINARY, PLAIN_TEXT, "application/xml", "application/zip"})
"""Types of bytes that many formats are made of: then what the page's server said counts."""


@dataclass(frozen=True, slots=True)
class _Fetched:
    version_id: UUID
    taken: Taken
    media_type: str
    title: str


async def schedule_fetch(unit: UnitOfWork, page: Url, now: datetime) -> bool:
    """Have a page fetched once the unit of work is committed; False when that is about to happen anyway.

    Wake the job runner after the commit.
    """
    key = f"{page.id}.{hashlib.sha256(page.url.encode()).hexdigest()[:16]}"
    payload = {"url_id": str(page.id), "url": page.url}
    # One that runs may have looked before this was asked for, so another one may wait behind it.
    for one in (key, f"{key}.next"):
        if await unit.jobs.add(Job(new_id(), FETCH_JOB, one, payload, now)):
            return True
    return False


class UrlFetch:
    """Does the jobs of kind ``url-fetch``; see eudai_core.contracts.JobHandler."""

    def __init__(
        self,
        host: PluginHost,
        storage: Storage,
        intake: Intake,
        ingest: Ingest,
        notices: Notices,
        *,
        seconds: float = FETCH_S,
    ) -> None:
        """Fetch with the host's plugins, each page within ``seconds``."""
        self._host = host
        self._storage = storage
        self._intake = intake
        self._ingest = ingest
        self._notices = notices
        self._seconds = seconds

    async def run(self, job: Job) -> None:
        """Fetch the page, and have it read.

        Raises:
            Unavailable: it cannot be had now; the job is to be tried again.
        """
        page = await self._find(job)
        if page is None:
            return
        fetcher, owner = self._fetcher(page)
        if fetcher is None:
            scheme = page.url.partition(":")[0]
            await self._fail(page, f"No URL fetcher is loaded for {scheme} addresses: see `eudai plugins list`.")
            return
        try:
            await self._fetch(page, fetcher, owner)
        except InvalidInput as error:
            await self._fail(page, error.detail)

    async def give_up(self, job: Job, error: str) -> None:
        """Mark the page as failed for the reason of the last try."""
        page = await self._find(job)
        if page is not None and page.status is DocumentStatus.PENDING:
            await self._fail(page, error)

    async def _find(self, job: Job) -> Url | None:
        """Return the page, unless it is gone or has another address by now: that one has a job of its own."""
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await _with_address(unit, UUID(job.payload["url_id"]), job.payload["url"])

    def _fetcher(self, page: Url) -> tuple[URLFetcher | None, str]:
        scheme = page.url.partition(":")[0]
        fetcher = self._host.all(URL_FETCHERS).get(scheme)
        return fetcher, "" if fetcher is None else self._host.owner(URL_FETCHERS, scheme)

    async def _fetch(self, page: Url, fetcher: URLFetcher, owner: str) -> None:
        async with self._intake.batch() as batch:
            # The time limit is ours: a slow page is the page's fault, and must not count against the plugin.
            try:
                async with asyncio.timeout(self._seconds):
                    fetched = await self._host.guard(owner, "fetch", lambda: _taken(fetcher, page, batch), timeout=None)
            except TimeoutError as error:
                raise Unavailable(
                    f"The page took longer than the {self._seconds:g} seconds that are allowed."
                ) from error
            except PluginFault as error:
                raise Unavailable("The plugin that fetches pages failed; the server's log tells more.") from error
            batch.in_doubt = True
            kept = await self._keep(page, fetched, batch)
        if kept is not None:
            self._tell(kept)

    async def _keep(self, page: Url, fetched: _Fetched, batch: Batch) -> Url | None:
        """Store what was fetched; None when the page was deleted meanwhile, or given another address."""
        blob = fetched.taken.blob
        now = self._host.clock.now()
        async with self._storage.unit_of_work() as unit:
            stored = await _with_address(unit, page.id, page.url)
            if stored is None:
                return None
            new = stored.current is None or stored.current.sha256 != blob.sha256
            if new:
                version = _version(stored, fetched, now)
                await unit.documents.add_version(version)
                await self._ingest.schedule(unit, version)
            ready = replace(stored, title=fetched.title, status=DocumentStatus.READY, error=None, fetched_at=now)
            stored = await unit.urls.update(ready)
            await unit.commit()
        if new:
            batch.keep(blob.key)
        return stored

    async def _fail(self, page: Url, error: str) -> None:
        async with self._storage.unit_of_work() as unit:
            stored = await _with_address(unit, page.id, page.url)
            if stored is None:
                return
            reason = storable(error)[:ERROR_LENGTH]
            stored = await unit.urls.update(replace(stored, status=DocumentStatus.FAILED, error=reason))
            await unit.commit()
        self._tell(stored)

    def _tell(self, page: Url) -> None:
        data = {"project_id": str(page.project_id), "status": state_of(page)[0].value}
        self._notices.tell("url", "updated", page.added_by, page.id, data)


def state_of(page: Url) -> tuple[DocumentStatus, str | None]:
    """Return how far a page has come, fetching and reading together, and why it came no further."""
    if page.status is DocumentStatus.READY and page.current is not None:
        return page.current.status, page.current.error
    return page.status, page.error


async def _with_address(unit: UnitOfWork, url_id: UUID, address: str) -> Url | None:
    try:
        page = await unit.urls.get(url_id)
    except NotFound:
        return None
    return page if page.url == address else None


async def _taken(fetcher: URLFetcher, page: Url, batch: Batch) -> _Fetched:
    version_id = new_id()
    key = f"pages/{version_id.hex[-2:]}/{version_id.hex}"
    async with fetcher.fetch(page.url) as fetched:
        taken = await batch.take(key, _pieces(fetched.body), what="The page")
    title = " ".join(storable(fetched.title).split())[:TITLE_LENGTH]
    return _Fetched(version_id, taken, _media_type(fetched.media_type, taken.head), title)


async def _pieces(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in body:
        yield piece


def _media_type(said: str, head: bytes) -> str:
    """Return the type of a page: what its bytes show, else what its server said, else what is left."""
    shown = sniff("", head)
    said = said.partition(";")[0].strip().lower()
    return said if shown in _VAGUE and _MEDIA_TYPE.fullmatch(said) else shown


def _version(page: Url, fetched: _Fetched, now: datetime) -> DocumentVersion:
    return DocumentVersion(
        id=fetched.version_id,
        owner_type="url",
        owner_id=page.id,
        project_id=page.project_id,
        number=1 if page.current is None else page.current.number + 1,
        sha256=fetched.taken.blob.sha256,
        blob_key=fetched.taken.blob.key,
        media_type=fetched.media_type,
        size=fetched.taken.blob.size,
        created_at=now,
    )
