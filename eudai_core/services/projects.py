"""Projects: what holds instructions, files, web pages and conversations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage
from eudai_core.ids import new_id
from eudai_core.model import Identity, Page, Project, ResourceRef, Scope
from eudai_core.services.access import Access, check_scope
from eudai_core.services.fields import MODEL_LENGTH, check_limit, check_number, check_text, invalid, upon_newest
from eudai_core.services.garbage import BlobGarbage
from eudai_core.services.notices import Notices

__all__ = ["DESCRIPTION_LENGTH", "LONGEST_RETENTION", "NAME_LENGTH", "OVERFLOW", "SETTINGS", "Projects"]

NAME_LENGTH: Final = 200
DESCRIPTION_LENGTH: Final = 10_000
LONGEST_RETENTION: Final = 36_500
"""Days for which conversations may be kept; for ever without that setting."""
OVERFLOW: Final = ("drop", "summarise", "refuse")
"""What may be done when a conversation outgrows the model's window: its oldest turns go, or are summarised, or nothing
more can be asked."""
SETTINGS: Final[Mapping[str, type]] = {"model": str, "overflow": str, "retention_days": int}
"""The settings a project may carry, with their types; None takes one away."""
_KINDS: Final = {str: "a text", int: "a whole number"}


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
            name=_checked_name(name),
            description=_checked_description(description),
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
        check_scope(identity, Scope.READ)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.projects.list(identity.user_id, cursor=cursor, limit=check_limit(limit))

    async def get(self, identity: Identity, project_id: UUID, *, action: str = "read") -> Project:
        """Return a project that the caller may use for ``action``."""
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
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
            InvalidInput: a value is out of its bounds, or a setting is not known.
            StaleVersion: ``expected_version`` is not the stored one.
        """
        await self.get(identity, project_id, action="write")
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = _checked_name(name)
        if description is not None:
            changes["description"] = _checked_description(description)
        checked = None if settings is None else _checked_settings(settings)

        async def change() -> Project:
            async with self._storage.unit_of_work() as unit:
                found = await unit.projects.get(project_id)
                changed = replace(found, updated_at=self._clock.now(), **changes)
                if checked is not None:
                    merged = {**found.settings, **checked}
                    changed = replace(changed, settings={key: one for key, one in merged.items() if one is not None})
                version = found.version if expected_version is None else expected_version
                stored = await unit.projects.update(changed, expected_version=version)
                await unit.commit()
            return stored

        stored = await upon_newest(expected_version, change)
        self._notices.tell("project", "updated", identity.user_id, project_id)
        return stored

    async def delete(self, identity: Identity, project_id: UUID, *, expected_version: int | None = None) -> None:
        """Delete a project with everything in it.

        Raises:
            StaleVersion: ``expected_version`` is not the stored one.
        """
        await self.get(identity, project_id, action="delete")
        async with self._storage.unit_of_work() as unit:
            if expected_version is not None:
                # Written first, so that nobody changes it between the look at its version and its end.
                found = await unit.projects.get(project_id)
                await unit.projects.update(found, expected_version=expected_version)
            keys = await unit.projects.delete(project_id)
            await self._garbage.schedule(unit, keys)
            await unit.commit()
        self._garbage.wake()
        self._notices.tell("project", "deleted", identity.user_id, project_id)


def _checked_name(name: str) -> str:
    return check_text("$.name", name, longest=NAME_LENGTH, shortest=1)


def _checked_description(description: str) -> str:
    return check_text("$.description", description, longest=DESCRIPTION_LENGTH)


def _checked_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _checked_setting(key, value) for key, value in settings.items()}


def _checked_setting(key: str, value: object) -> object:
    path = f"$.settings.{key}"
    kind = SETTINGS.get(key)
    if kind is None:
        raise invalid(path, f"is not known: known are {', '.join(SETTINGS)}")
    if value is None:
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise invalid(path, f"must be {_KINDS[kind]}")
    if isinstance(value, int):
        return check_number(path, value, least=1, most=LONGEST_RETENTION)
    if key == "overflow" and value not in OVERFLOW:
        raise invalid(path, f"must be one of {', '.join(OVERFLOW)}")
    return check_text(path, str(value), longest=MODEL_LENGTH, shortest=1)
