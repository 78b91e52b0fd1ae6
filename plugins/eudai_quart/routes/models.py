"""The models that can be asked."""

from __future__ import annotations

from quart import Blueprint, Response

from eudai_quart.context import application
from eudai_quart.openapi.operation import Answer, operation
from eudai_quart.respond import answer
from eudai_quart.wire.answers import Items, Model
from eudai_quart.wire.decode import query
from eudai_quart.wire.requests import Empty

__all__ = ["blueprint"]

blueprint = Blueprint("models", __name__)


@blueprint.get("/api/models")
@operation(Answer(Items[Model]))
async def index() -> Response:
    """List every model of every backend, language models first."""
    query(Empty)
    return answer(Items([Model.of(model) for model in await application().models.available()]))
