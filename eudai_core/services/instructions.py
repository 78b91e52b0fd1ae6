"""Standing instructions of projects."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from eudai_core.contracts import Clock, Storage
from eudai_core.errors import Conflict, NotFound
from eudai_core.ids import new_id
from eudai_core.model import Identity, Instruction, InstructionVersion, Page
from eudai_core.services.access import missing
from eudai_core.services.fields import check_limit, check_number, check_text, invalid, upon_newest
from eudai_core.services.projects import Projects

__all__ = ["FARTHEST", "INSTRUCTION_LENGTH", "MOST_INSTRUCTIONS", "Instructions"]

INSTRUCTION_LENGTH: Final = 20_000
FARTHEST: Final = 1_000_000
"""How far from 0 a position may be."""
MOST_INSTRUCTIONS: Final = 1_000
"""Instructions of a project: every prompt holds those that are enabled, whatever else there is room for."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_PLACE: Final = struct.Struct(">iq16s")
_Place = tuple[int, datetime, UUID]


class Instructions:
    """Add, read, change and delete instructions."""

    def __init__(self, storage: Storage, projects: Projects, clock: Clock) -> None:
        self._storage = storage
        self._projects = projects
        self._clock = clock

    async def list(
        self, identity: Identity, project_id: UUID, *, cursor: str | None = None, limit: int = 50
    ) -> Page[Instruction]:
        """List a project's instructions in the order in which they are sent: by position, then oldest first."""
        await self._projects.get(identity, project_id)
        check_limit(limit)
        after = None if cursor is None else _read_cursor(cursor)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            # They are few (see MOST_INSTRUCTIONS), so the place in the list is found here.
            every = await unit.documents.list_instructions(project_id)
        rest = every if after is None else [one for one in every if _place(one) > after]
        return Page(rest[:limit], _cursor(rest[limit - 1]) if len(rest) > limit else None)

    async def add(
        self, identity: Identity, project_id: UUID, *, text: str, position: int = 0, enabled: bool = True
    ) -> Instruction:
        """Add an instruction.

        Raises:
            InvalidInput: the text is empty or too long, or the position is out of range.
            Conflict: the project has as many as it may have.
        """
        project = await self._projects.get(identity, project_id, action="write")
        if project.counts.instructions >= MOST_INSTRUCTIONS:
            raise Conflict(f"A project has at most {MOST_INSTRUCTIONS:,} instructions: delete or change one.")
        instruction = Instruction(
            new_id(), project_id, _checked_text(text), self._clock.now(), _checked_position(position), enabled
        )
        async with self._storage.unit_of_work() as unit:
            await unit.documents.add_instruction(instruction)
            await unit.commit()
        return instruction

    async def get(self, identity: Identity, project_id: UUID, instruction_id: UUID) -> Instruction:
        """Return one instruction of a project."""
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            instruction = await unit.documents.get_instruction(instruction_id)
        if instruction.project_id != project_id:
            raise missing("instruction", instruction_id)
        try:
            await self._projects.get(identity, project_id)
        except NotFound as error:
            raise missing("instruction", instruction_id) from error
        return instruction

    async def versions(
        self, identity: Identity, project_id: UUID, instruction_id: UUID, *, cursor: str | None = None, limit: int = 50
    ) -> Page[InstructionVersion]:
        """List what an instruction said, newest first."""
        await self.get(identity, project_id, instruction_id)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            return await unit.documents.instruction_versions(instruction_id, cursor=cursor, limit=check_limit(limit))

    async def update(
        self,
        identity: Identity,
        project_id: UUID,
        instruction_id: UUID,
        *,
        text: str | None = None,
        position: int | None = None,
        enabled: bool | None = None,
        expected_version: int | None = None,
    ) -> Instruction:
        """Change what is given.

        Raises:
            InvalidInput: the text is empty or too long, or the position is out of range.
            StaleVersion: ``expected_version`` is not the stored one.
        """
        await self.get(identity, project_id, instruction_id)
        await self._projects.get(identity, project_id, action="write")
        text = None if text is None else _checked_text(text)
        position = None if position is None else _checked_position(position)

        async def change() -> Instruction:
            async with self._storage.unit_of_work() as unit:
                found = await unit.documents.get_instruction(instruction_id)
                changed = replace(
                    found,
                    instruction_text=found.instruction_text if text is None else text,
                    position=found.position if position is None else position,
                    enabled=found.enabled if enabled is None else enabled,
                )
                version = found.version if expected_version is None else expected_version
                stored = await unit.documents.update_instruction(
                    changed, expected_version=version, at=self._clock.now()
                )
                await unit.commit()
            return stored

        return await upon_newest(expected_version, change)

    async def delete(
        self, identity: Identity, project_id: UUID, instruction_id: UUID, *, expected_version: int | None = None
    ) -> None:
        """Delete an instruction.

        Raises:
            StaleVersion: ``expected_version`` is not the stored one.
        """
        await self.get(identity, project_id, instruction_id)
        await self._projects.get(identity, project_id, action="write")
        async with self._storage.unit_of_work() as unit:
            if expected_version is not None:
                # Written first, so that nobody changes it between the look at its version and its end.
                found = await unit.documents.get_instruction(instruction_id)
                await unit.documents.update_instruction(found, expected_version=expected_version, at=self._clock.now())
            await unit.documents.delete_instruction(instruction_id)
            await unit.commit()


def _checked_text(text: str) -> str:
    return check_text("$.instruction_text", text, longest=INSTRUCTION_LENGTH, shortest=1)


def _checked_position(position: int) -> int:
    return check_number("$.position", position, least=-FARTHEST, most=FARTHEST)


def _place(instruction: Instruction) -> _Place:
    return instruction.position, instruction.created_at, instruction.id


def _cursor(last: Instruction) -> str:
    place = _PLACE.pack(last.position, (last.created_at - _EPOCH) // _MICROSECOND, last.id.bytes)
    return base64.b64encode(place, altchars=b"-_").decode("ascii")


def _read_cursor(cursor: str) -> _Place:
    try:
        place = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        position, microseconds, key = _PLACE.unpack(place)
        return position, _EPOCH + microseconds * _MICROSECOND, UUID(bytes=key)
    except (UnicodeEncodeError, binascii.Error, struct.error, OverflowError) as error:
        raise invalid("$.cursor", "is not a cursor that this server gave") from error
