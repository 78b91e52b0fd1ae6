"""A project's standing instructions."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint, Response

from eudai_quart.context import application, caller
from eudai_quart.respond import answer, nothing
from eudai_quart.wire.answers import Instruction, Items
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.requests import InstructionPatch, NewInstruction, Paging

__all__ = ["blueprint"]

blueprint = Blueprint("instructions", __name__)


@blueprint.get("/api/projects/<id:project_id>/instructions")
async def index(project_id: UUID) -> Response:
    """List a project's instructions in the order in which they are sent; there are few, so it is one page."""
    query(Paging)
    found = await application().content.list_instructions(caller(), project_id)
    return answer(Items([Instruction.of(instruction) for instruction in found]))


@blueprint.post("/api/projects/<id:project_id>/instructions")
async def create(project_id: UUID) -> Response:
    """Add an instruction."""
    body = await read_json(NewInstruction)
    instruction = await application().content.add_instruction(
        caller(), project_id, text=body.instruction_text, position=body.position, enabled=body.enabled
    )
    return answer(Instruction.of(instruction), 201)


@blueprint.get("/api/projects/<id:project_id>/instructions/<id:instruction_id>")
async def details(project_id: UUID, instruction_id: UUID) -> Response:
    """Tell an instruction."""
    return answer(Instruction.of(await application().content.get_instruction(caller(), project_id, instruction_id)))


@blueprint.put("/api/projects/<id:project_id>/instructions/<id:instruction_id>")
async def update(project_id: UUID, instruction_id: UUID) -> Response:
    """Change an instruction."""
    body = await read_json(InstructionPatch)
    instruction = await application().content.update_instruction(
        caller(),
        project_id,
        instruction_id,
        text=body.instruction_text,
        position=body.position,
        enabled=body.enabled,
    )
    return answer(Instruction.of(instruction))


@blueprint.delete("/api/projects/<id:project_id>/instructions/<id:instruction_id>")
async def delete(project_id: UUID, instruction_id: UUID) -> Response:
    """Delete an instruction."""
    await application().content.delete_instruction(caller(), project_id, instruction_id)
    return nothing()
