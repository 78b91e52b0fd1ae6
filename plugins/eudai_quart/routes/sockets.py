"""The WebSocket of a conversation, up to the moment it is open; what is wrong is refused with an HTTP status."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint, websocket

from eudai_core.errors import Draining
from eudai_quart.context import application, caller, lifelines
from eudai_quart.credentials import SUBPROTOCOL
from eudai_quart.openapi.operation import channel
from eudai_quart.server.peer import PEER
from eudai_quart.session import Session
from eudai_quart.wire.decode import query
from eudai_quart.wire.events import ClientEvent
from eudai_quart.wire.frames import ServerEvent
from eudai_quart.wire.requests import After

__all__ = ["blueprint"]

blueprint = Blueprint("sockets", __name__)


@blueprint.websocket("/ws/conversations/<id:conversation_id>")
@channel(receives=ClientEvent, sends=ServerEvent, query=After)
async def conversation(conversation_id: UUID) -> None:
    """Follow and continue a conversation."""
    app, identity = application(), caller()
    after = query(After, websocket.args).after
    if app.draining.is_set():
        raise Draining("The server is restarting. Connect again in a moment.", retry_after=5)
    offered = SUBPROTOCOL in websocket.requested_subprotocols
    with lifelines().open(identity, peer=PEER.get()) as line:
        async with app.chat.subscribe(identity, conversation_id, after=after) as subscription:
            wire = websocket._get_current_object()  # type: ignore[attr-defined]  # the proxy costs a look-up a frame
            await wire.accept(subprotocol=SUBPROTOCOL if offered else None)
            await Session(wire, app.chat, identity, conversation_id, subscription, line).run()
