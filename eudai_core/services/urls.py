"""Web pages that projects know. What is at an address is fetched by a job: see eudai_core.services.fetching."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import NotFound
from eudai_core.ids import new_id
from eudai_core.model import DocumentStatus, DocumentVersion, Identity, Page, Url
from eudai_core.search import SearchRemoval
from eudai_core.services.access import missing
from eudai_core.services.addresses import normal_address
from eudai_core.services.fetching import schedule_fetch, state_of
from eudai_core.services.fields import check_limit, check_text
from eudai_core.services.garbage import BlobGarbage
from eudai_core.services.notices import Notices
from eudai_core.services.projects import Projects
from eudai_core.services.revisions import check_revision, url_revision

__all__ = ["Urls"]

DESCRIPTION_LENGTH: Final = 10_000


class Urls:
    """Add, read, change, fetch again and delete pages."""

    def __init__(
        self,
        storage: Storage,
        projects: Projects,
        clock: Clock,
        notices: Notices,
        garbage: BlobGarbage,
        removal: SearchRemoval,
    ) -> None:
        self._storage = storage
        self._projects = projects
        self._clock = clock
        self._notices = notices
        self._garbage = garbage
        self._removal = removal

    async def add(self, identity: Identity, project_id: UUID, *, url: str, description: str = "") -> Url:
        """Add a page; it is fetched in the background.

        Raises:
            InvalidInput: the address is none of a page.
            Conflict: the project has this address already.
        """
        await self._projects.get(identity, project_id, action="write")
        page = Url(
            id=new_id(),
            project_id=project_id,
            url=normal_address(url),
            description=check_text("$.description", description, longest=DESCRIPTION_LENGTH),
            added_by=identity.user_id,
            created_at=self._clock.now(),
        )
        async with self._storage.unit_of_work() as unit:
            await unit.urls.add(page)
            await schedule_fetch(unit, page, self._clock.now())
            await unit.commit()
        self._garbage.wake()
        self._tell("created", identity, page)
        return page

    async def list(
        self, identity: Identity, project_id: UUID, *, cursor: str | None = None, limit: int = 50
    ) -> Page[Url]:
        """List a project's pages, newest first."""
        await self._projects.get(identity, project_id)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.urls.list(project_id, cursor=cursor, limit=check_limit(limit))

    async def get(self, identity: Identity, project_id: UUID, url_id: UUID) -> Url:
        """Return a page of a project."""
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            page = await unit.urls.get(url_id)
        if page.project_id != project_id:
            raise missing("page", url_id)
        try:
            await self._projects.get(identity, project_id)
        except NotFound as error:
            raise missing("page", url_id) from error
        return page

    async def versions(
        self, identity: Identity, project_id: UUID, url_id: UUID, *, cursor: str | None = None, limit: int = 50
    ) -> Page[DocumentVersion]:
        """List what was fetched of a page, newest first; what was the same as before is not listed."""
        await self.get(identity, project_id, url_id)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.documents.versions(url_id, cursor=cursor, limit=check_limit(limit))

    async def update(
        self,
        identity: Identity,
        project_id: UUID,
        url_id: UUID,
        *,
        url: str | None = None,
        description: str | None = None,
        pinned: bool | None = None,
        expected: str | None = None,
    ) -> Url:
        """Change what is given. A new address is fetched; until that is done, the old text stays.

        Raises:
            InvalidInput: the address is none of a page.
            Conflict: the project has this address already.
            StaleVersion: ``expected`` is not the page's revision.
        """
        await self.get(identity, project_id, url_id)
        await self._projects.get(identity, project_id, action="write")
        address = None if url is None else normal_address(url)
        if description is not None:
            check_text("$.description", description, longest=DESCRIPTION_LENGTH)
        async with self._storage.unit_of_work() as unit:
            found = await unit.urls.get(url_id)
            check_revision("page", expected, url_revision(found))
            changed = replace(
                found,
                description=found.description if description is None else description,
                pinned=found.pinned if pinned is None else pinned,
            )
            if address is not None and address != found.url:
                changed = replace(changed, url=address, title="", status=DocumentStatus.PENDING, error=None)
                await schedule_fetch(unit, changed, self._clock.now())
            page = await unit.urls.update(changed)
            await unit.commit()
        self._garbage.wake()
        self._tell("updated", identity, page)
        return page

    async def refresh(self, identity: Identity, project_id: UUID, url_id: UUID) -> Url:
        """Have a page fetched again; what was fetched before stays until then."""
        await self.get(identity, project_id, url_id)
        await self._projects.get(identity, project_id, action="write")
        async with self._storage.unit_of_work() as unit:
            page = await unit.urls.get(url_id)
            if await schedule_fetch(unit, page, self._clock.now()):
                page = await unit.urls.update(replace(page, status=DocumentStatus.PENDING, error=None))
            await unit.commit()
        self._garbage.wake()
        self._tell("updated", identity, page)
        return page

    async def delete(self, identity: Identity, project_id: UUID, url_id: UUID, *, expected: str | None = None) -> None:
        """Delete a page with all its versions; its text is erased everywhere.

        Raises:
            StaleVersion: ``expected`` is not the page's revision.
        """
        page = await self.get(identity, project_id, url_id)
        await self._projects.get(identity, project_id, action="write")
        async with self._storage.unit_of_work() as unit:
            if expected is not None:
                check_revision("page", expected, url_revision(await unit.urls.get(url_id)))
            keys = await unit.urls.delete(url_id)
            await self._garbage.schedule(unit, keys)
            await self._removal.schedule(unit, url_id)
            await unit.commit()
        self._garbage.wake()
        self._tell("deleted", identity, page)

    def _tell(self, action: str, identity: Identity, page: Url) -> None:
        data = {"project_id": str(page.project_id)}
        if action != "deleted":
            data["status"] = state_of(page)[0].value
        self._notices.tell("url", action, identity.user_id, page.id, data)
