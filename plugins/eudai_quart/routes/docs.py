"""The documents of this surface, and a page to read them."""

from __future__ import annotations

from typing import Any

from quart import Blueprint, Response

from eudai_quart.conditional import has_already, not_modified
from eudai_quart.context import surface
from eudai_quart.openapi.library import Document, Library
from eudai_quart.openapi.operation import JSON, UNCHANGED, Answer, operation

__all__ = ["blueprint"]

blueprint = Blueprint("docs", __name__)
HTML = "text/html; charset=utf-8"


@blueprint.get("/openapi.json")
@operation(Answer(dict[str, Any], headers=("ETag",)), UNCHANGED, takes=("If-None-Match",))
async def openapi() -> Response:
    """Give the OpenAPI 3.1 document of all paths."""
    return _answer(await _library().get("openapi"), JSON)


@blueprint.get("/asyncapi.json")
@operation(Answer(dict[str, Any], headers=("ETag",)), UNCHANGED, takes=("If-None-Match",))
async def asyncapi() -> Response:
    """Give the AsyncAPI 3.0 document of the WebSockets."""
    return _answer(await _library().get("asyncapi"), JSON)


@blueprint.get("/docs")
@operation(Answer(str, headers=("ETag",), media="text/html"), UNCHANGED, takes=("If-None-Match",))
async def page() -> Response:
    """Show both documents to people."""
    return _answer(await _library().get("page"), HTML)


def _library() -> Library:
    app = surface()
    library: Library = app.extensions.setdefault("eudai_documents", Library(app))
    return library


def _answer(document: Document, media: str) -> Response:
    known = has_already(document.tag)
    response = not_modified({}) if known else Response(document.content, content_type=media)
    response.headers["ETag"] = document.tag
    response.headers["Cache-Control"] = "no-cache"
    if document.policy is not None:
        response.headers["Content-Security-Policy"] = document.policy
    return response
