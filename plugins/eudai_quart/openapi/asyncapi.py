"""The AsyncAPI 3.0 document: the WebSockets of conversations, with every event of both directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from eudai_quart.context import Surface
from eudai_quart.credentials import SUBPROTOCOL, cookie_name
from eudai_quart.openapi.operation import Channel, kinds_of
from eudai_quart.openapi.routes import Route, routes_of
from eudai_quart.openapi.schemas import Schemas

__all__ = ["CLOSE_CODES", "asyncapi_document"]

CLOSE_CODES: Final[Mapping[int, str]] = {
    1009: "A message was over 1 MiB: send it as a file.",
    1011: "Something went wrong in the server: connect again and resume.",
    1012: "The server restarts: connect again and resume.",
    1013: "The connection is too slow, or there are too many: connect again later.",
    4401: "The session ended: log in again.",
    4403: "Not allowed any more: the conversation was deleted.",
    4429: "More than 30 messages in 10 seconds: wait, then connect again.",
}
"""Why the server closes a WebSocket, and what to do."""
ABOUT: Final = f"""\
Events are JSON objects in text frames. A client that knows `user_message`, `delta` and `bot_message` and ignores
everything else is complete.

A refusal comes before the upgrade, with an HTTP status and `application/problem+json` as in
[/openapi.json](/openapi.json). Credentials are a bearer token, the web cookie (then the `Origin` must be this
server's or an allowed one), or the pair of subprotocols `{SUBPROTOCOL}, bearer.<token>`; the server answers with
`{SUBPROTOCOL}`.

`seq` rises strictly and is the same for every subscriber; gaps never mean loss. After a lost connection, connect with
`?after=N`. Pieces of a text are placed by `offset`, which counts code points.

The server sends the same events over HTTP, as `text/event-stream`.
"""
_LOG_INS: Final = [{"$ref": f"#/components/securitySchemes/{name}"} for name in ("bearer", "cookie", "subprotocol")]


def asyncapi_document(app: Surface) -> dict[str, Any]:
    """Return the document of every WebSocket that the application opens."""
    routes = [route for route in routes_of(app) if not route.method]
    schemas = Schemas(kind for route in routes for kind in _kinds(route.declaration))
    queries = {schemas.of(query)["$ref"].rpartition("/")[2] for route in routes for query in _query(route.declaration)}
    operations: dict[str, Any] = {}
    for route in routes:
        operations.update(_operations(route))
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "eudai", "version": app.application.version, "description": ABOUT},
        "defaultContentType": "application/json",
        "servers": {"here": _server()},
        "channels": {route.name: _channel(route, schemas) for route in routes},
        "operations": operations,
        "components": {
            "schemas": {name: schema for name, schema in schemas.components.items() if name not in queries},
            "messages": _messages(routes, schemas),
            "securitySchemes": _schemes(),
        },
    }


def _kinds(declaration: Any) -> Iterable[Any]:
    if isinstance(declaration, Channel):
        yield from kinds_of(declaration.receives)
        yield from kinds_of(declaration.sends)
        yield from _query(declaration)


def _query(declaration: Any) -> Iterable[Any]:
    if isinstance(declaration, Channel) and declaration.query is not None:
        yield declaration.query


def _server() -> dict[str, Any]:
    host = {"default": "localhost:8000", "description": "Where this document was read."}
    return {"host": "{host}", "protocol": "ws", "description": "This server.", "variables": {"host": host}}


def _schemes() -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The `access_token` of a log-in."},
        "cookie": {
            "type": "httpApiKey",
            "in": "cookie",
            "name": cookie_name(secure=False),
            "description": f"The web cookie; over https its name is `{cookie_name(secure=True)}`.",
        },
        "subprotocol": {
            "type": "httpApiKey",
            "in": "header",
            "name": "Sec-WebSocket-Protocol",
            "description": f"The pair `{SUBPROTOCOL}, bearer.<token>`, for browsers.",
        },
    }


def _channel(route: Route, schemas: Schemas) -> dict[str, Any]:
    binding: dict[str, Any] = {"method": "GET", "bindingVersion": "0.1.0"}
    for query in _query(route.declaration):
        binding["query"] = {"type": "object", "properties": schemas.named(query)["properties"]}
    described: dict[str, Any] = {
        "address": route.path,
        "title": route.summary or route.name,
        "description": route.description or route.about,
        "parameters": {one["name"]: {"description": one["description"]} for one in route.parameters},
        "messages": {
            name: {"$ref": f"#/components/messages/{name}"} for name in _names(route.declaration, schemas).values()
        },
        "tags": [{"name": route.tag, "description": route.about}],
        "bindings": {"ws": binding},
    }
    if route.declaration is not None:
        described["x-subprotocol"] = SUBPROTOCOL
        described["x-close-codes"] = {str(code): meaning for code, meaning in CLOSE_CODES.items()}
    return described


def _names(declaration: Any, schemas: Schemas) -> Mapping[Any, str]:
    if not isinstance(declaration, Channel):
        return {}
    kinds = (*kinds_of(declaration.receives), *kinds_of(declaration.sends))
    return {kind: schemas.of(kind)["$ref"].rpartition("/")[2] for kind in kinds}


def _messages(routes: Iterable[Route], schemas: Schemas) -> dict[str, Any]:
    messages = {}
    for route in routes:
        for kind, name in _names(route.declaration, schemas).items():
            messages[name] = {
                "name": str(kind.__struct_config__.tag),
                "title": name,
                "summary": schemas.named(kind)["description"],
                "contentType": "application/json",
                "payload": schemas.of(kind),
            }
    return messages


def _operations(route: Route) -> Iterable[tuple[str, dict[str, Any]]]:
    """Give what the server receives and what it sends: the document speaks from the server's side."""
    if not isinstance(route.declaration, Channel):
        yield route.name, {"action": "receive", "channel": _at(route), "summary": route.summary or route.name}
        return
    for action, kinds in (("receive", route.declaration.receives), ("send", route.declaration.sends)):
        yield (
            f"{route.name}.{action}",
            {
                "action": action,
                "channel": _at(route),
                "summary": "Events from the client." if action == "receive" else "Events from the server.",
                "security": [] if route.public else _LOG_INS,
                "messages": [{"$ref": f"{_at(route)['$ref']}/messages/{kind.__name__}"} for kind in kinds_of(kinds)],
            },
        )


def _at(route: Route) -> dict[str, str]:
    return {"$ref": f"#/channels/{route.name}"}
