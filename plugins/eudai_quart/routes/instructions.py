"""A project's standing instructions."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint, Response

from eudai_core.errors import Conflict
from eudai_quart.conditional import entity_tag, expected_version, shown, version_of
from eudai_quart.context import application, caller
from eudai_quart.openapi.operation import NOTHING, UNCHANGED, Answer, operation
from eudai_quart.respond import answer, created, nothing
from eudai_quart.wire.answers import Instruction, Items, page
from eudai_quart.wire.content import InstructionVersion
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.requests import InstructionPatch, NewInstruction, Paging

__all__ = ["blueprint"]

blueprint = Blueprint("instructions", __name__)


@blueprint.get("/api/projects/<id:project_id>/instructions")
@operation(Answer(Items[Instruction]), query=Paging)
async def index(project_id: UUID) -> Response:
    """List a project's instructions in the order in which they are sent: by position, then oldest first."""
    paging = query(Paging)
    found = await application().content.instructions.list(
        caller(), project_id, cursor=paging.cursor, limit=paging.limit
    )
    return answer(page(found, Instruction.of))


@blueprint.post("/api/projects/<id:project_id>/instructions")
@operation(
    Answer(Instruction, 201, headers=("ETag", "Location")),
    body=NewInstruction,
    takes=("Idempotency-Key",),
    errors=(Conflict,),
)
async def create(project_id: UUID) -> Response:
    """Add an instruction."""
    body = await read_json(NewInstruction)
    instruction = await application().content.instructions.add(
        caller(), project_id, text=body.instruction_text, position=body.position, enabled=body.enabled
    )
    told = Instruction.of(instruction)
    return created(told, instruction.id, entity_tag(told, version_of(instruction.version)))


@blueprint.get("/api/projects/<id:project_id>/instructions/<id:instruction_id>")
@operation(Answer(Instruction, headers=("ETag",)), UNCHANGED, takes=("If-None-Match",))
async def details(project_id: UUID, instruction_id: UUID) -> Response:
    """Tell an instruction."""
    instruction = await application().content.instructions.get(caller(), project_id, instruction_id)
    return shown(Instruction.of(instruction), version_of(instruction.version))


@blueprint.put("/api/projects/<id:project_id>/instructions/<id:instruction_id>")
@operation(Answer(Instruction, headers=("ETag",)), body=InstructionPatch, takes=("If-Match",))
async def update(project_id: UUID, instruction_id: UUID) -> Response:
    """Change an instruction."""
    body = await read_json(InstructionPatch)
    instruction = await application().content.instructions.update(
        caller(),
        project_id,
        instruction_id,
        text=body.instruction_text,
        position=body.position,
        enabled=body.enabled,
        expected_version=expected_version(),
    )
    told = Instruction.of(instruction)
    return answer(told, 200, entity_tag(told, version_of(instruction.version)))


@blueprint.delete("/api/projects/<id:project_id>/instructions/<id:instruction_id>")
@operation(NOTHING, takes=("If-Match",))
async def delete(project_id: UUID, instruction_id: UUID) -> Response:
    """Delete an instruction."""
    await application().content.instructions.delete(
        caller(), project_id, instruction_id, expected_version=expected_version()
    )
    return nothing()


@blueprint.get("/api/projects/<id:project_id>/instructions/<id:instruction_id>/versions")
@operation(Answer(Items[InstructionVersion]), query=Paging)
async def versions(project_id: UUID, instruction_id: UUID) -> Response:
    """List what an instruction said, newest first; changes of anything else are not listed."""
    paging = query(Paging)
    found = await application().content.instructions.versions(
        caller(), project_id, instruction_id, cursor=paging.cursor, limit=paging.limit
    )
    return answer(page(found, InstructionVersion.of))
