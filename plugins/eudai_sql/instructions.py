"""Standing instructions of projects, and what they said before."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import StaleVersion
from eudai_core.model import Instruction, InstructionVersion, Page
from eudai_sql import keyset
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import instruction_versions as versions
from eudai_sql.tables import instructions as table
from eudai_sql.types import UtcDateTime

__all__ = ["InstructionRows"]

_columns: Final = (
    table.c.id,
    table.c.project_id,
    table.c.instruction_text,
    table.c.created_at,
    table.c.position,
    table.c.enabled,
    table.c.version,
)
_this: Final = table.c.id == sa.bindparam("instruction_id")
_add: Final = table.insert()
_get: Final = sa.select(*_columns).where(_this)
_list: Final = (
    sa.select(*_columns)
    .where(table.c.project_id == sa.bindparam("project"))
    .order_by(table.c.position, table.c.created_at, table.c.id)
)
_expected: Final = sa.bindparam("expected", type_=sa.Integer())
_update: Final = (
    table.update()
    .where(_this, sa.or_(_expected.is_(None), table.c.version == _expected))
    .values(
        instruction_text=sa.bindparam("new_text"),
        position=sa.bindparam("new_position"),
        enabled=sa.bindparam("new_enabled"),
        version=table.c.version + 1,
    )
    .returning(*_columns)
)
_add_first: Final = versions.insert()
_newest: Final = (
    sa.select(versions.c.instruction_text)
    .where(versions.c.instruction_id == table.c.id)
    .order_by(versions.c.number.desc())
    .limit(1)
    .correlate(table)
    .scalar_subquery()
)
# What the instruction says now, unless it said so before.
_add_changed: Final = versions.insert().from_select(
    ["instruction_id", "number", "instruction_text", "created_at"],
    sa.select(
        table.c.id, table.c.version, table.c.instruction_text, sa.bindparam("at", type_=UtcDateTime()).label("at")
    ).where(_this, table.c.instruction_text.is_distinct_from(_newest)),
)
_first_page: Final = (
    sa.select(versions.c.number, versions.c.instruction_text, versions.c.created_at)
    .where(versions.c.instruction_id == sa.bindparam("instruction_id"))
    .order_by(versions.c.number.desc())
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)
_next_page: Final = _first_page.where(keyset.after_number(versions.c.number))
_delete: Final = table.delete().where(_this)


class InstructionRows(Repository):
    """The part of eudai_core.contracts.Documents about instructions."""

    __slots__ = ()

    async def add_instruction(self, instruction: Instruction) -> None:
        """Add an instruction."""
        values: dict[str, Any] = {column.name: getattr(instruction, column.name) for column in _columns}
        await self._tx.run(_add, values)
        first = {
            "instruction_id": instruction.id,
            "number": instruction.version,
            "instruction_text": instruction.instruction_text,
            "created_at": instruction.created_at,
        }
        await self._tx.run(_add_first, first)

    async def get_instruction(self, instruction_id: UUID) -> Instruction:
        """Return an instruction."""
        row = await self._tx.row(_get, {"instruction_id": instruction_id})
        if row is None:
            raise missing("instruction", instruction_id)
        return Instruction(*row)

    async def list_instructions(self, project_id: UUID) -> list[Instruction]:
        """Return all instructions of a project by position, then oldest first."""
        return [Instruction(*row) for row in await self._tx.rows(_list, {"project": project_id})]

    async def update_instruction(
        self, instruction: Instruction, *, expected_version: int | None, at: datetime
    ) -> Instruction:
        """Store text, position and enabled under the next version, and return the result."""
        values = {
            "instruction_id": instruction.id,
            "expected": expected_version,
            "new_text": instruction.instruction_text,
            "new_position": instruction.position,
            "new_enabled": instruction.enabled,
        }
        row = await self._tx.row(_update, values)
        if row is None:
            stored = await self.get_instruction(instruction.id)
            raise StaleVersion(f"The instruction was changed meanwhile: it is at version {stored.version} now.")
        await self._tx.run(_add_changed, {"instruction_id": instruction.id, "at": at})
        return Instruction(*row)

    async def instruction_versions(
        self, instruction_id: UUID, *, cursor: str | None, limit: int
    ) -> Page[InstructionVersion]:
        """List what an instruction said, its present text included, newest first."""
        values: dict[str, Any] = {"instruction_id": instruction_id, "limit": limit + 1}
        statement = _first_page
        if cursor is not None:
            statement = _next_page
            values |= keyset.number_position(cursor)
        found = [InstructionVersion(*row) for row in await self._tx.rows(statement, values)]
        return keyset.number_page(found, limit, lambda version: version.number)

    async def delete_instruction(self, instruction_id: UUID) -> None:
        """Delete an instruction with all its versions."""
        if not await self._tx.run(_delete, {"instruction_id": instruction_id}):
            raise missing("instruction", instruction_id)
