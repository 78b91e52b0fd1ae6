"""Projects: what holds instructions, files, web pages and conversations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import FieldError, InvalidInput
from eudai_core.ids import new_id
from eudai_core.model import Identity, Page, Project, ResourceRef
from eudai_core.services.access import Access
from eudai_core.services.fields import check_limit, check_text
from eudai_core.services.garbage import BlobGarbage
from eudai_core.services.notices import Notices

__all__ = ["Projects"]

NAME_LENGTH: Final = 200
DESCRIPTION_LENGTH: Final = 10_000
SETTINGS: Final = {"model": str, "overflow": str, "retention_days": int}
"""The settings a project may carry, with their types; each may be None."""


class Projects:
    """Create, read, change and delete projects."""

    def __init__(self, storage: Storage, access: Access, clock: Clock, notices: Notices, garbage: BlobGarbage) -> None:
        self._storage = storage
        self._access = access
        self._clock = clock
        self._notices = notices
        self._garbage = garbage

    async def create(self, identity: Identity, *, name: str, description: str = "") -> Project:
        """Create a project owned by the caller."""
        now = self._clock.now()
        project = Project(
            id=new_id(),
            owner_id=identity.user_id,
            name=check_text("$.name", name, longest=NAME_LENGTH, shortest=1),
            description=check_text("$.description", description, longest=DESCRIPTION_LENGTH),
            created_at=now,
            updated_at=now,
        )
        await self._access.check(identity, "create", ResourceRef("project", None, identity.user_id))
        async with self._storage.unit_of_work() as unit:
            await unit.projects.add(project)
            await unit.commit()
        self._notices.tell("project", "created", identity.user_id, project.id)
        return project

    async def list(self, identity: Identity, *, cursor: str | None = None, limit: int = 50) -> Page[Project]:
        """List the caller's projects, newest first."""
        async with self._storage.unit_of_work(readonly=True) as unit:
            return await unit.projects.list(identity.user_id, cursor=cursor, limit=check_limit(limit))

    async def get(self, identity: Identity, project_id: UUID, *, action: str = "read") -> Project:
        """Return a project that the caller may use for ``action``."""
        async with self._storage.unit_of_work(readonly=True) as unit:
            project = await unit.projects.get(project_id)
        await self._access.check(identity, action, ResourceRef("project", project.id, project.owner_id))
        return project

    async def update(
        self,
        identity: Identity,
        project_id: UUID,
        *,
        name: str | None = None,
        description: str | None = None,
        settings: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
    ) -> Project:
        """Change what is given; settings given as None are removed.

        Raises:
            StaleVersion: ``expected_version`` is not the stored one.
        """
        project = await self.get(identity, project_id, action="write")
        changed = replace(project, updated_at=self._clock.now())
        if name is not None:
            changed = replace(changed, name=check_text("$.name", name, longest=NAME_LENGTH, shortest=1))
        if description is not None:
            text = check_text("$.description", description, longest=DESCRIPTION_LENGTH)
            changed = replace(changed, description=text)
        if settings is not None:
            changed = replace(changed, settings=_merged(project.settings, settings))
        async with self._storage.unit_of_work() as unit:
            stored = await unit.projects.update(changed, expected_version=expected_version)
            await unit.commit()
        self._notices.tell("project", "updated", identity.user_id, project_id)
        return stored

    async def delete(self, identity: Identity, project_id: UUID) -> None:
        """Delete a project with everything in it."""
        await self.get(identity, project_id, action="delete")
        async with self._storage.unit_of_work() as unit:
            keys = await unit.projects.delete(project_id)
            await self._garbage.schedule(unit, keys)
            await unit.commit()
        self._garbage.wake()
        self._notices.tell("project", "deleted", identity.user_id, project_id)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in new.items():
        kind = SETTINGS.get(key)
        path = f"$.settings.{key}"
        if kind is None:
            known = ", ".join(SETTINGS)
            raise InvalidInput(f"Unknown setting: known are {known}.", errors=(FieldError(path, "is not known"),))
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise InvalidInput(f"{path} must be a {kind.__name__}.", errors=(FieldError(path, "has the wrong type"),))
    merged = {**old, **new}
    return {key: value for key, value in merged.items() if value is not None}
