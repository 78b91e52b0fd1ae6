"""Web pages of projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from eudai_core.errors import Conflict
from eudai_core.model import Page, Url
from eudai_core.testing._memory.owned import drop_documents
from eudai_core.testing._memory.paging import page
from eudai_core.testing._memory.state import State
from eudai_core.testing._memory.transaction import Repository
from eudai_core.testing._memory.values import insert, kept, required

__all__ = ["MemoryUrls"]


class MemoryUrls(Repository):
    """See eudai_core.contracts.Urls."""

    __slots__ = ()

    async def add(self, url: Url) -> None:
        """Add a page without versions."""
        state = await self._tx.writing()
        required(state.projects, url.project_id, "project")
        required(state.users, url.added_by, "user")
        _refuse_taken(state, url)
        insert(state.urls, url.id, replace(url, current=None), "page")

    async def get(self, url_id: UUID) -> Url:
        """Return a page with its current version."""
        return required((await self._tx.reading()).urls, url_id, "page")

    async def many(self, url_ids: Sequence[UUID]) -> Mapping[UUID, Url]:
        """Return several pages by id; those that are not there are missing."""
        rows = (await self._tx.reading()).urls
        return {key: rows[key] for key in url_ids if key in rows}

    async def list(self, project_id: UUID, *, cursor: str | None, limit: int) -> Page[Url]:
        """List a project's pages, newest first."""
        pages = await self.all(project_id)
        return page(pages, lambda url: (url.created_at, url.id), cursor=cursor, limit=limit)

    async def all(self, project_id: UUID) -> Sequence[Url]:
        """Return every page of a project, oldest first."""
        pages = (await self._tx.reading()).urls.values()
        mine = (url for url in pages if url.project_id == project_id)
        return sorted(mine, key=lambda url: (url.created_at, url.id))

    async def update(self, url: Url) -> Url:
        """Store address, description, pinned, title, status, error and time of the last fetch; return the result."""
        state = await self._tx.writing()
        stored = required(state.urls, url.id, "page")
        changed = replace(
            stored,
            url=url.url,
            description=url.description,
            pinned=url.pinned,
            title=url.title,
            status=url.status,
            error=url.error,
            fetched_at=url.fetched_at,
        )
        _refuse_taken(state, changed)
        state.urls[url.id] = kept(changed)
        return state.urls[url.id]

    async def delete(self, url_id: UUID) -> Sequence[str]:
        """Delete a page, its versions and texts nobody else names; return blob keys that nothing names any more."""
        state = await self._tx.writing()
        required(state.urls, url_id, "page")
        return drop_documents(state, [url_id])


def _refuse_taken(state: State, url: Url) -> None:
    address = kept(url.url)
    others = (other for other in state.urls.values() if other.id != url.id and other.project_id == url.project_id)
    if any(other.url == address for other in others):
        raise Conflict("The project has this address already; change the page that is there.")
