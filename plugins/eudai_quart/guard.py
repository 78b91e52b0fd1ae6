"""The door: before every request and every WebSocket, who is it, and may it come in from there.

Deny by default: a route is behind the guard unless its endpoint is on the list below, or a plugin named it as public
when it registered its routes.
"""

from __future__ import annotations

from typing import Final

from quart import Request, Websocket, request, websocket

from eudai_core.errors import FieldError, Forbidden, InvalidCredentials, InvalidInput, Unauthorized
from eudai_core.model import Identity
from eudai_quart import credentials, origins
from eudai_quart.context import Surface, application, new_request_id, set_caller, surface
from eudai_quart.ids import BadId

__all__ = ["PUBLIC", "identify", "install", "optional_caller"]

PUBLIC: Final = frozenset({"auth.signup", "auth.login", "auth.refresh", "health.health", "health.live"})
"""The endpoints that are open to all."""


def install(app: Surface) -> None:
    """Put the guard before everything that the application answers."""
    app.public = set(PUBLIC)
    app.before_request(_before_request)
    app.before_websocket(_before_websocket)


async def identify(incoming: Request | Websocket) -> Identity:
    """Return who sent a request.

    Raises:
        Unauthorized: nobody that is known.
        Forbidden: the web cookie came with a request from a foreign page.
    """
    secure = incoming.scheme in {"https", "wss"}
    offered = incoming.requested_subprotocols if isinstance(incoming, Websocket) else ()
    found = credentials.find(
        incoming.headers,
        cookie=incoming.cookies.get(credentials.cookie_name(secure=secure)),
        offered=offered,
    )
    if found.scheme == "cookie":
        _check_origin(incoming)
    try:
        return await application().accounts.authenticate(found)
    except InvalidCredentials:
        raise
    except Unauthorized as error:
        if found.scheme != credentials.HEADERS:
            raise
        raise Unauthorized("This needs a log-in: POST /api/auth/login gives a token.") from error


def _check_origin(incoming: Request | Websocket) -> None:
    allowed = application().core.allowed_origins
    host, scheme = incoming.host, incoming.scheme
    if isinstance(incoming, Websocket):
        # Browsers send cookies with foreign WebSockets and ask nobody before: only their Origin tells.
        origin = incoming.headers.get("Origin", "")
        good = origins.is_ours(origin, scheme=scheme, host=host, allowed=allowed)
    else:
        good = incoming.method in origins.SAFE_METHODS or origins.may_change(
            incoming.headers, scheme=scheme, host=host, allowed=allowed
        )
    if not good:
        raise Forbidden("The web cookie is good for pages of this server only: this request comes from elsewhere.")


async def _before_request() -> None:
    new_request_id()
    await _check(request)


async def _before_websocket() -> None:
    new_request_id()
    await _check(websocket)


async def _check(incoming: Request | Websocket) -> None:
    if incoming.routing_exception is not None:
        return  # there is no such route: the answer tells so, to everybody
    if incoming.endpoint not in surface().public:
        set_caller(await identify(incoming))
    for name, value in (incoming.view_args or {}).items():
        if isinstance(value, BadId):
            path = f"$.{name}"
            raise InvalidInput(f"{value!s:.80} is no id: ids are UUIDs.", errors=(FieldError(path, "is no UUID"),))


async def optional_caller() -> Identity | None:
    """Return who asks at a public endpoint, or None."""
    try:
        return await identify(request)
    except (Unauthorized, Forbidden):
        return None
