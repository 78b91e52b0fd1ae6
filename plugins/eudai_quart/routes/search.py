"""Search."""

from __future__ import annotations

from quart import Blueprint, Response

from eudai_core.errors import NotFound, Unavailable
from eudai_quart.context import application, caller
from eudai_quart.openapi.operation import Answer, operation
from eudai_quart.respond import answer
from eudai_quart.wire.answers import Items, page
from eudai_quart.wire.decode import query
from eudai_quart.wire.search import Searching, SearchResult

__all__ = ["blueprint"]

blueprint = Blueprint("search", __name__)


@blueprint.get("/api/search")
@operation(Answer(Items[SearchResult]), query=Searching, errors=(NotFound, Unavailable))
async def index() -> Response:
    """Find own messages and files by their words."""
    asked = query(Searching)
    found = await application().search.find(
        caller(),
        asked.q,
        types=[name.strip() for name in asked.type.split(",")],
        project_id=asked.project_id,
        limit=asked.limit,
        cursor=asked.cursor,
    )
    return answer(page(found, SearchResult.of))
