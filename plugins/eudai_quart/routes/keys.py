"""API keys, for scripts."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint, Response

from eudai_core.errors import TooManyRequests
from eudai_quart.context import application, caller
from eudai_quart.openapi.operation import LOG_IN, NOTHING, Answer, operation
from eudai_quart.respond import answer, created, nothing
from eudai_quart.wire.accounts import ApiKey, NewApiKey, ShownApiKey
from eudai_quart.wire.answers import Items
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.requests import Empty

__all__ = ["blueprint"]

blueprint = Blueprint("keys", __name__)


@blueprint.get("/api/auth/keys")
@operation(Answer(Items[ApiKey]), needs=LOG_IN)
async def index() -> Response:
    """List all own keys, newest first."""
    query(Empty)
    return answer(Items([ApiKey.of(key) for key in await application().api_keys.list(caller())]))


@blueprint.post("/api/auth/keys")
@operation(
    Answer(ShownApiKey, 201, headers=("Location",)),
    body=NewApiKey,
    takes=("Idempotency-Key",),
    errors=(TooManyRequests,),
    needs=LOG_IN,
)
async def create() -> Response:
    """Make a key. Its text is in this answer and nowhere else."""
    body = await read_json(NewApiKey)
    key, text = await application().api_keys.create(
        caller(), name=body.name, scopes=body.scopes, expires_at=body.expires_at
    )
    return created(ShownApiKey.of(key, text), key.id)


@blueprint.get("/api/auth/keys/<id:key_id>")
@operation(Answer(ApiKey), needs=LOG_IN)
async def details(key_id: UUID) -> Response:
    """Tell a key, without its text."""
    return answer(ApiKey.of(await application().api_keys.get(caller(), key_id)))


@blueprint.delete("/api/auth/keys/<id:key_id>")
@operation(NOTHING, needs=LOG_IN)
async def delete(key_id: UUID) -> Response:
    """Revoke a key at once, with what it has open."""
    await application().api_keys.delete(caller(), key_id)
    return nothing()
