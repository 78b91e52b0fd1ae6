"""Projects."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint, Response

from eudai_quart.conditional import entity_tag, expected_version, shown, version_of
from eudai_quart.context import application, caller
from eudai_quart.openapi.operation import NOTHING, UNCHANGED, Answer, operation
from eudai_quart.respond import answer, created, nothing
from eudai_quart.wire.answers import Items, Project, page
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.requests import NewProject, Paging, ProjectChange, given

__all__ = ["blueprint"]

blueprint = Blueprint("projects", __name__)


@blueprint.get("/api/projects")
@operation(Answer(Items[Project]), query=Paging)
async def index() -> Response:
    """List the own projects, newest first."""
    paging = query(Paging)
    found = await application().projects.list(caller(), cursor=paging.cursor, limit=paging.limit)
    return answer(page(found, Project.of))


@blueprint.post("/api/projects")
@operation(Answer(Project, 201, headers=("ETag", "Location")), body=NewProject, takes=("Idempotency-Key",))
async def create() -> Response:
    """Create a project."""
    body = await read_json(NewProject)
    project = await application().projects.create(caller(), name=body.name, description=body.description)
    told = Project.of(project)
    return created(told, project.id, entity_tag(told, version_of(project.version)))


@blueprint.get("/api/projects/<id:project_id>")
@operation(Answer(Project, headers=("ETag",)), UNCHANGED, takes=("If-None-Match",))
async def details(project_id: UUID) -> Response:
    """Tell a project."""
    project = await application().projects.get(caller(), project_id)
    return shown(Project.of(project), version_of(project.version))


@blueprint.put("/api/projects/<id:project_id>")
@operation(Answer(Project, headers=("ETag",)), body=ProjectChange, takes=("If-Match",))
async def update(project_id: UUID) -> Response:
    """Change a project."""
    body = await read_json(ProjectChange)
    project = await application().projects.update(
        caller(),
        project_id,
        name=body.name,
        description=body.description,
        settings=given(body.settings),
        expected_version=expected_version(),
    )
    told = Project.of(project)
    return answer(told, 200, entity_tag(told, version_of(project.version)))


@blueprint.delete("/api/projects/<id:project_id>")
@operation(NOTHING, takes=("If-Match",))
async def delete(project_id: UUID) -> Response:
    """Delete a project with everything in it."""
    await application().projects.delete(caller(), project_id, expected_version=expected_version())
    return nothing()
