"""A project's web pages."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint, Response

from eudai_core import model
from eudai_core.errors import Conflict
from eudai_core.services.revisions import url_revision
from eudai_quart.conditional import entity_tag, expected_revision, shown
from eudai_quart.context import application, caller
from eudai_quart.openapi.operation import NOTHING, UNCHANGED, Answer, operation
from eudai_quart.respond import answer, created, nothing
from eudai_quart.wire.answers import Items, page
from eudai_quart.wire.content import DocumentVersion, NewUrl, Url, UrlChange
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.requests import Paging

__all__ = ["blueprint"]

blueprint = Blueprint("urls", __name__)


@blueprint.get("/api/projects/<id:project_id>/urls")
@operation(Answer(Items[Url]), query=Paging)
async def index(project_id: UUID) -> Response:
    """List a project's pages, newest first."""
    paging = query(Paging)
    found = await application().content.urls.list(caller(), project_id, cursor=paging.cursor, limit=paging.limit)
    return answer(page(found, Url.of))


@blueprint.post("/api/projects/<id:project_id>/urls")
@operation(Answer(Url, 201, headers=("ETag", "Location")), body=NewUrl, takes=("Idempotency-Key",), errors=(Conflict,))
async def create(project_id: UUID) -> Response:
    """Add a page; it is fetched in the background."""
    body = await read_json(NewUrl)
    url = await application().content.urls.add(caller(), project_id, url=body.url, description=body.description)
    told = Url.of(url)
    return created(told, url.id, entity_tag(told, url_revision(url)))


@blueprint.get("/api/projects/<id:project_id>/urls/<id:url_id>")
@operation(Answer(Url, headers=("ETag",)), UNCHANGED, takes=("If-None-Match",))
async def details(project_id: UUID, url_id: UUID) -> Response:
    """Tell a page."""
    url = await application().content.urls.get(caller(), project_id, url_id)
    return shown(Url.of(url), url_revision(url))


@blueprint.put("/api/projects/<id:project_id>/urls/<id:url_id>")
@operation(Answer(Url, headers=("ETag",)), body=UrlChange, takes=("If-Match",), errors=(Conflict,))
async def update(project_id: UUID, url_id: UUID) -> Response:
    """Change a page; a new address is fetched in the background."""
    body = await read_json(UrlChange)
    url = await application().content.urls.update(
        caller(),
        project_id,
        url_id,
        url=body.url,
        description=body.description,
        pinned=body.pinned,
        expected=expected_revision(),
    )
    return _changed(url)


@blueprint.delete("/api/projects/<id:project_id>/urls/<id:url_id>")
@operation(NOTHING, takes=("If-Match",))
async def delete(project_id: UUID, url_id: UUID) -> Response:
    """Delete a page with all its versions; its text is erased everywhere."""
    await application().content.urls.delete(caller(), project_id, url_id, expected=expected_revision())
    return nothing()


@blueprint.post("/api/projects/<id:project_id>/urls/<id:url_id>/refresh")
@operation(Answer(Url, 202, headers=("ETag",)))
async def refresh(project_id: UUID, url_id: UUID) -> Response:
    """Have a page fetched again, in the background; what was fetched before stays until then."""
    return _changed(await application().content.urls.refresh(caller(), project_id, url_id), 202)


@blueprint.get("/api/projects/<id:project_id>/urls/<id:url_id>/versions")
@operation(Answer(Items[DocumentVersion]), query=Paging)
async def versions(project_id: UUID, url_id: UUID) -> Response:
    """List what was fetched of a page, newest first; what was the same as before is not listed."""
    paging = query(Paging)
    found = await application().content.urls.versions(
        caller(), project_id, url_id, cursor=paging.cursor, limit=paging.limit
    )
    return answer(page(found, DocumentVersion.of))


def _changed(url: model.Url, status: int = 200) -> Response:
    body = Url.of(url)
    return answer(body, status, entity_tag(body, url_revision(url)))
