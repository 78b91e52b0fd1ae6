"""Standing instructions of projects."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.model import Instruction
from eudai_sql.repository import Repository, missing
from eudai_sql.tables import instructions as table

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
_update: Final = (
    table.update()
    .where(_this)
    .values(
        instruction_text=sa.bindparam("new_text"),
        position=sa.bindparam("new_position"),
        enabled=sa.bindparam("new_enabled"),
        version=table.c.version + 1,
    )
    .returning(*_columns)
)
_delete: Final = table.delete().where(_this)


class InstructionRows(Repository):
    """The part of eudai_core.contracts.Documents about instructions."""

    __slots__ = ()

    async def add_instruction(self, instruction: Instruction) -> None:
        """Add an instruction."""
        values: dict[str, Any] = {column.name: getattr(instruction, column.name) for column in _columns}
        await self._tx.run(_add, values)

    async def get_instruction(self, instruction_id: UUID) -> Instruction:
        """Return an instruction."""
        row = await self._tx.row(_get, {"instruction_id": instruction_id})
        if row is None:
            raise missing("instruction", instruction_id)
        return Instruction(*row)

    async def list_instructions(self, project_id: UUID) -> list[Instruction]:
        """Return all instructions of a project by position, then oldest first."""
        return [Instruction(*row) for row in await self._tx.rows(_list, {"project": project_id})]

    async def update_instruction(self, instruction: Instruction) -> Instruction:
        """Store text, position and enabled under the next version, and return the result."""
        values = {
            "instruction_id": instruction.id,
            "new_text": instruction.instruction_text,
            "new_position": instruction.position,
            "new_enabled": instruction.enabled,
        }
        row = await self._tx.row(_update, values)
        if row is None:
            raise missing("instruction", instruction.id)
        return Instruction(*row)

    async def delete_instruction(self, instruction_id: UUID) -> None:
        """Delete an instruction."""
        if not await self._tx.run(_delete, {"instruction_id": instruction_id}):
            raise missing("instruction", instruction_id)
