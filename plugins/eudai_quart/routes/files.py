"""A project's files."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint, Response, request

from eudai_quart.context import application, caller
from eudai_quart.multipart import uploads
from eudai_quart.respond import answer, nothing
from eudai_quart.wire.answers import File, Items, page
from eudai_quart.wire.decode import query
from eudai_quart.wire.requests import Paging

__all__ = ["blueprint"]

blueprint = Blueprint("files", __name__)


@blueprint.get("/api/projects/<id:project_id>/files")
async def index(project_id: UUID) -> Response:
    """List a project's files, newest first."""
    paging = query(Paging)
    found = await application().content.list_files(caller(), project_id, cursor=paging.cursor, limit=paging.limit)
    return answer(page(found, File.of))


@blueprint.post("/api/projects/<id:project_id>/files")
async def upload(project_id: UUID) -> Response:
    """Store one or many files, all or none."""
    app = application()
    files = await app.content.upload(
        caller(),
        project_id,
        uploads(request, most_mb=app.core.max_upload_mb),
    )
    return answer(Items([File.of(file) for file in files]), 201)


@blueprint.get("/api/projects/<id:project_id>/files/<id:file_id>")
async def details(project_id: UUID, file_id: UUID) -> Response:
    """Tell a file, with the beginning of its text."""
    content = application().content
    file = await content.get_file(caller(), project_id, file_id)
    return answer(File.of(file, await content.preview(caller(), file)))


@blueprint.delete("/api/projects/<id:project_id>/files/<id:file_id>")
async def delete(project_id: UUID, file_id: UUID) -> Response:
    """Delete a file; its text is erased everywhere."""
    await application().content.delete_file(caller(), project_id, file_id)
    return nothing()
