"""What changes for the caller, as it happens: ids and status only, no replay; look again after a reconnect."""

from __future__ import annotations

from quart import Blueprint, Response, websocket

from eudai_core.errors import Draining
from eudai_core.model import Scope
from eudai_quart.context import application, caller, lifelines
from eudai_quart.credentials import SUBPROTOCOL
from eudai_quart.feed import Feed, user_events
from eudai_quart.openapi.operation import EVENTS, Answer, channel, operation
from eudai_quart.server.peer import PEER
from eudai_quart.sse import event_stream
from eudai_quart.wire.changes import RefusedEvent, UserEvent
from eudai_quart.wire.decode import query
from eudai_quart.wire.events import Ping
from eudai_quart.wire.frames import PongEvent
from eudai_quart.wire.requests import Empty

__all__ = ["blueprint"]

blueprint = Blueprint("events", __name__)


@blueprint.get("/api/events")
@operation(Answer(UserEvent, media=EVENTS), errors=(Draining,))
async def stream() -> Response:
    """Follow what changes for the caller; a stream that ends may have lost something: look again."""
    query(Empty)
    _refuse_when_draining()
    return await event_stream(user_events(application().user_events, lifelines(), caller()))


@blueprint.websocket("/ws/events")
@channel(receives=Ping, sends=UserEvent | RefusedEvent | PongEvent, needs=Scope.READ)
async def socket() -> None:
    """Follow what changes for the caller; a socket that was closed may have lost something: look again."""
    query(Empty, websocket.args)
    _refuse_when_draining()
    identity = caller()
    offered = SUBPROTOCOL in websocket.requested_subprotocols
    with lifelines().open(identity, peer=PEER.get()) as line:
        async with application().user_events.subscribe(identity) as messages:
            wire = websocket._get_current_object()  # type: ignore[attr-defined]  # the proxy costs a look-up a frame
            await wire.accept(subprotocol=SUBPROTOCOL if offered else None)
            await Feed(wire, messages, line).run()


def _refuse_when_draining() -> None:
    if application().draining.is_set():
        raise Draining("The server is restarting. Connect again in a moment.", retry_after=5)
