"""The door: before every request and every WebSocket, who is it, and may it come in from there.

Deny by default: a route is behind the guard unless its endpoint is on the list below, or a plugin named it as public
when it registered its routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

from quart import Request, Response, Websocket, request, websocket

from eudai_core.errors import EudaiError, FieldError, Forbidden, InvalidCredentials, InvalidInput, Unauthorized
from eudai_core.model import Identity, Scope
from eudai_core.services.access import check_log_in, check_scope
from eudai_quart import credentials, origins
from eudai_quart.context import Surface, application, new_request_id, set_caller, surface
from eudai_quart.cors import Origins
from eudai_quart.hosts import Hosts
from eudai_quart.ids import BadId
from eudai_quart.openapi.operation import LOG_IN, declared
from eudai_quart.proxies import PEER

__all__ = ["PUBLIC", "identify", "install", "optional_caller"]

PUBLIC: Final = frozenset(
    {
        "auth.login",
        "auth.refresh",
        "auth.signup",
        "docs.asyncapi",
        "docs.openapi",
        "docs.page",
        "health.health",
        "health.live",
    }
)
"""The endpoints that are open to all."""
LOOK_S: Final = 1.0


def install(app: Surface, hosts: Hosts, pages: Origins) -> None:
    """Put the guard before everything that the application answers."""
    app.public = set(PUBLIC)

    async def before_request() -> Response | None:
        new_request_id()
        hosts.check(request.headers.get("Host", ""))
        asked = pages.preflight(request)
        if asked is None:
            await _check(request)
        return asked

    async def before_websocket() -> None:
        new_request_id()
        hosts.check(websocket.headers.get("Host", ""))
        await _check(websocket)

    app.before_request(before_request)
    app.before_websocket(before_websocket)


async def identify(incoming: Request | Websocket) -> Identity:
    """Return who sent a request.

    Raises:
        Unauthorized: nobody that is known.
        Forbidden: the web cookie, or a proxy's word, came with a request from a foreign page.
    """
    secure = incoming.scheme in {"https", "wss"}
    offered = incoming.requested_subprotocols if isinstance(incoming, Websocket) else ()
    found = credentials.find(
        incoming.headers,
        cookie=incoming.cookies.get(credentials.cookie_name(secure=secure)),
        offered=offered,
        peer=_peer(incoming),
    )
    if found.scheme == "cookie":
        _check_origin(incoming)
    try:
        identity = await application().accounts.authenticate(found)
    except InvalidCredentials:
        raise
    except Unauthorized as error:
        if found.scheme != credentials.HEADERS:
            raise
        raise Unauthorized("This needs a log-in: POST /api/auth/login gives a token.") from error
    if found.scheme == credentials.HEADERS:
        # What a proxy adds comes with every request of a browser, as a cookie does, also with a foreign page's.
        _check_origin(incoming)
    return identity


def _peer(incoming: Request | Websocket) -> str | None:
    scope = cast("Mapping[str, Any]", incoming.scope)
    address = scope.get(PEER) or scope.get("client")
    return str(address[0]) if address else None


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
        raise Forbidden("This log-in is good for pages of this server only: the request comes from elsewhere.")


async def _check(incoming: Request | Websocket) -> None:
    if incoming.routing_exception is not None:
        return  # there is no such route: the answer tells so, to everybody
    if incoming.endpoint not in surface().public:
        identity = await identify(incoming)
        _check_needs(identity, incoming)
        set_caller(identity)
    for name, value in (incoming.view_args or {}).items():
        if isinstance(value, BadId):
            path = f"$.{name}"
            raise InvalidInput(f"{value!s:.80} is no id: ids are UUIDs.", errors=(FieldError(path, "is no UUID"),))


def _check_needs(identity: Identity, incoming: Request | Websocket) -> None:
    """Refuse an API key without the scope that the route needs; the services do so too, for what is theirs."""
    view = surface().view_functions.get(incoming.endpoint or "")
    declaration = None if view is None else declared(view)
    needs = None if declaration is None else declaration.needs
    if needs == LOG_IN:
        check_log_in(identity)
    else:
        check_scope(identity, needs or _scope_of(incoming))


def _scope_of(incoming: Request | Websocket) -> Scope:
    """Return the scope that a route needs which says nothing: a socket may send as well as receive."""
    if isinstance(incoming, Websocket):
        return Scope.CHAT
    return Scope.READ if incoming.method in origins.SAFE_METHODS else Scope.WRITE


async def optional_caller() -> Identity | None:
    """Return who asks at a public endpoint, or None; also when that cannot be found out now, or not within a second."""
    try:
        async with asyncio.timeout(LOOK_S):
            return await identify(request)
    except (EudaiError, TimeoutError):
        return None
