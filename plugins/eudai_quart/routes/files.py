"""A project's files."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint, Response, request

from eudai_core import model
from eudai_core.services.revisions import file_revision
from eudai_quart.conditional import entity_tag, expected_revision, shown
from eudai_quart.context import application, caller
from eudai_quart.multipart import uploads
from eudai_quart.openapi.operation import NOTHING, UNCHANGED, UPLOAD, Answer, operation
from eudai_quart.respond import answer, nothing
from eudai_quart.wire.answers import File, Items, page
from eudai_quart.wire.content import DocumentVersion, FilePatch
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.requests import Paging

__all__ = ["blueprint"]

blueprint = Blueprint("files", __name__)


@blueprint.get("/api/projects/<id:project_id>/files")
@operation(Answer(Items[File]), query=Paging)
async def index(project_id: UUID) -> Response:
    """List a project's files, newest first."""
    paging = query(Paging)
    found = await application().content.files.list(caller(), project_id, cursor=paging.cursor, limit=paging.limit)
    return answer(page(found, File.of))


@blueprint.post("/api/projects/<id:project_id>/files")
@operation(Answer(Items[File], 201), Answer(Items[File]), body=UPLOAD, takes=("Idempotency-Key",))
async def upload(project_id: UUID) -> Response:
    """Store one or many files, all or none; 200 when each was there already, with its name and its bytes."""
    app = application()
    uploaded = await app.content.files.upload(caller(), project_id, uploads(request, most_mb=app.core.max_upload_mb))
    return answer(Items([File.of(file) for file in uploaded.files]), 201 if uploaded.created else 200)


@blueprint.get("/api/projects/<id:project_id>/files/<id:file_id>")
@operation(Answer(File, headers=("ETag",)), UNCHANGED, takes=("If-None-Match",))
async def details(project_id: UUID, file_id: UUID) -> Response:
    """Tell a file, with the beginning of its text."""
    files = application().content.files
    file = await files.get(caller(), project_id, file_id)
    return shown(File.of(file, await files.preview(caller(), file)), file_revision(file))


@blueprint.put("/api/projects/<id:project_id>/files/<id:file_id>")
@operation(Answer(File, headers=("ETag",)), body=UPLOAD, takes=("If-Match",))
async def replace(project_id: UUID, file_id: UUID) -> Response:
    """Give a file new bytes, as its next version; it keeps its name, and the bytes that it has make no version."""
    app = application()
    expected = expected_revision()
    arriving = uploads(request, most_mb=app.core.max_upload_mb)
    return _changed(await app.content.files.replace(caller(), project_id, file_id, arriving, expected=expected))


@blueprint.patch("/api/projects/<id:project_id>/files/<id:file_id>")
@operation(Answer(File, headers=("ETag",)), body=FilePatch, takes=("If-Match",))
async def update(project_id: UUID, file_id: UUID) -> Response:
    """Rename a file, or pin it."""
    body = await read_json(FilePatch)
    file = await application().content.files.update(
        caller(), project_id, file_id, filename=body.filename, pinned=body.pinned, expected=expected_revision()
    )
    return _changed(file)


@blueprint.delete("/api/projects/<id:project_id>/files/<id:file_id>")
@operation(NOTHING, takes=("If-Match",))
async def delete(project_id: UUID, file_id: UUID) -> Response:
    """Delete a file with all its versions; its text is erased everywhere."""
    await application().content.files.delete(caller(), project_id, file_id, expected=expected_revision())
    return nothing()


@blueprint.get("/api/projects/<id:project_id>/files/<id:file_id>/versions")
@operation(Answer(Items[DocumentVersion]), query=Paging)
async def versions(project_id: UUID, file_id: UUID) -> Response:
    """List a file's versions, newest first."""
    paging = query(Paging)
    found = await application().content.files.versions(
        caller(), project_id, file_id, cursor=paging.cursor, limit=paging.limit
    )
    return answer(page(found, DocumentVersion.of))


def _changed(file: model.FileRecord) -> Response:
    body = File.of(file)
    return answer(body, 200, entity_tag(body, file_revision(file)))
