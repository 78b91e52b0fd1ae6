"""Projects."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint, Response

from eudai_core import model
from eudai_quart.conditional import expected_version, version_tag
from eudai_quart.context import application, caller
from eudai_quart.respond import answer, nothing
from eudai_quart.wire.answers import Project, page
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.requests import NewProject, Paging, ProjectChange

__all__ = ["blueprint"]

blueprint = Blueprint("projects", __name__)


@blueprint.get("/api/projects")
async def index() -> Response:
    """List the own projects, newest first."""
    paging = query(Paging)
    found = await application().projects.list(caller(), cursor=paging.cursor, limit=paging.limit)
    return answer(page(found, Project.of))


@blueprint.post("/api/projects")
async def create() -> Response:
    """Create a project."""
    body = await read_json(NewProject)
    project = await application().projects.create(caller(), name=body.name, description=body.description)
    return _project(project, 201)


@blueprint.get("/api/projects/<id:project_id>")
async def details(project_id: UUID) -> Response:
    """Tell a project."""
    return _project(await application().projects.get(caller(), project_id))


@blueprint.put("/api/projects/<id:project_id>")
async def update(project_id: UUID) -> Response:
    """Change a project."""
    body = await read_json(ProjectChange)
    project = await application().projects.update(
        caller(),
        project_id,
        name=body.name,
        description=body.description,
        settings=body.settings,
        expected_version=expected_version(),
    )
    return _project(project)


@blueprint.delete("/api/projects/<id:project_id>")
async def delete(project_id: UUID) -> Response:
    """Delete a project with everything in it."""
    await application().projects.delete(caller(), project_id)
    return nothing()


def _project(project: model.Project, status: int = 200) -> Response:
    return answer(Project.of(project), status, version_tag(project.version))
