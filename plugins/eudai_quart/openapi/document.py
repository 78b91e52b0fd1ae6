"""The OpenAPI 3.1 document: every route over HTTP, made of the URL map and of what is declared beside the routes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from eudai_quart.context import Surface
from eudai_quart.credentials import cookie_name
from eudai_quart.openapi.failures import Failures
from eudai_quart.openapi.headers import GIVEN, TAKEN
from eudai_quart.openapi.operation import ANYTHING, EVENTS, JSON, UPLOAD, Answer, Operation, kinds_of
from eudai_quart.openapi.routes import Route, routes_of
from eudai_quart.openapi.schemas import Schemas
from eudai_quart.problems import MEDIA_TYPE, Problem

__all__ = ["openapi_document"]

ABOUT: Final = """\
JSON in and out, in UTF-8; times are in RFC 3339 and UTC; ids are UUIDs of version 7. A text holds no NUL character.

Every error is `application/problem+json` with a stable `code`. A field that is not known is an error. Another user's
object is 404: that it exists is not told. A path answers 405 to a method that it does not have, and HEAD where it
answers GET.

Lists come in pages: send the `next` of one as the `cursor` of the following one.

Conversations over a WebSocket are described in [/asyncapi.json](/asyncapi.json).
"""
_LOG_INS: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"cookie": []}]
_FILES: Final = {"type": "string", "format": "binary"}
_UPLOADED: Final = {
    "schema": {
        "type": "object",
        "description": "One or many files, under any names of fields; what has no file name is ignored.",
        "properties": {"files": {"type": "array", "items": _FILES, "description": "Files."}},
        "additionalProperties": {"anyOf": [_FILES, {"type": "array", "items": _FILES}]},
    }
}


def openapi_document(app: Surface) -> dict[str, Any]:
    """Return the document of everything that the application answers over HTTP."""
    routes = [route for route in routes_of(app) if route.method]
    schemas = Schemas([Problem, *(kind for route in routes for kind in _kinds(route.declaration))])
    failures = Failures()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, failures)
    queries = {name for route in routes for name in _query_name(route.declaration, schemas)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "eudai", "version": app.application.version, "description": ABOUT},
        "servers": [{"url": "/", "description": "This server."}],
        "security": _LOG_INS,
        "tags": _tags(routes),
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.components.items() if name not in queries},
            "responses": failures.components,
            "headers": dict(GIVEN),
            "parameters": dict(TAKEN),
            "securitySchemes": _schemes(),
        },
    }


def _kinds(declaration: Any) -> Iterable[Any]:
    if not isinstance(declaration, Operation):
        return
    for kind in (declaration.body, declaration.query):
        if isinstance(kind, type):
            yield kind
    for answer in declaration.answers:
        if answer.body is not None:
            yield from kinds_of(answer.body) if answer.media == EVENTS else (answer.body,)


def _query_name(declaration: Any, schemas: Schemas) -> Iterable[str]:
    if isinstance(declaration, Operation) and declaration.query is not None:
        yield schemas.of(declaration.query)["$ref"].rpartition("/")[2]


def _tags(routes: Iterable[Route]) -> list[dict[str, str]]:
    about = {route.tag: route.about for route in routes}
    return [{"name": tag, "description": text} for tag, text in about.items()]


def _schemes() -> dict[str, Any]:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "The `access_token` of a log-in, or an API key whose scopes are enough.",
        },
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie_name(secure=False),
            "description": f"The web cookie; over https its name is `{cookie_name(secure=True)}`. What changes "
            "anything must come from a page of this server, as `Sec-Fetch-Site` or `Origin` says.",
        },
    }


def _operation(route: Route, schemas: Schemas, failures: Failures) -> dict[str, Any]:
    found = route.declaration if isinstance(route.declaration, Operation) else None
    described: dict[str, Any] = {"operationId": route.name, "tags": [route.tag]}
    if route.summary:
        described["summary"] = route.summary
    if route.description:
        described["description"] = route.description
    if route.public:
        described["security"] = [{}, *_LOG_INS] if found and found.knows_caller else []
    parameters = [*route.parameters, *(_parameters(found, schemas) if found else ())]
    if parameters:
        described["parameters"] = parameters
    if found and found.body is not None:
        described["requestBody"] = _body(found, schemas)
    answers = _answers(found.answers, schemas) if found else {"default": {"description": "What the plugin answers."}}
    errors = failures.of(found, guarded=not route.public, ids=found is not None and route.has_ids)
    described["responses"] = {**errors, **_merged(answers, errors, failures)}
    described["responses"] = dict(sorted(described["responses"].items()))
    return described


def _parameters(operation: Operation, schemas: Schemas) -> Iterable[dict[str, Any]]:
    if operation.query is not None:
        query = schemas.named(operation.query)
        for name, schema in query["properties"].items():
            rest = {key: value for key, value in schema.items() if key != "description"}
            needed = name in query["required"]
            yield {
                "name": name,
                "in": "query",
                "required": needed,
                "description": schema["description"],
                "schema": rest,
            }
    for name in operation.takes:
        yield {"$ref": f"#/components/parameters/{TAKEN[name]['name']}"}


def _body(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    if operation.body == UPLOAD:
        return {"required": True, "content": {UPLOAD: _UPLOADED}}
    return {"required": operation.body_needed, "content": {JSON: {"schema": schemas.of(operation.body)}}}


def _answers(answers: Sequence[Answer], schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for answer in answers:
        phrase = HTTPStatus(answer.status).phrase
        entry = described.setdefault(str(answer.status), {"description": f"{phrase}.", "headers": {}})
        for header in ("X-Request-Id", *answer.headers):
            entry["headers"][header] = {"$ref": f"#/components/headers/{header}"}
        if answer.media is not None:
            entry.setdefault("content", {})[answer.media] = _content(answer, schemas)
    return described


def _content(answer: Answer, schemas: Schemas) -> dict[str, Any]:
    if answer.media == ANYTHING or answer.body is None:
        return {}
    if answer.media != EVENTS:
        return {"schema": schemas.of(answer.body)}
    events = [schemas.of(kind) for kind in kinds_of(answer.body)]
    text = "Server-sent events: `event` is the type, `id` the `seq` where there is one, `data` one object in JSON."
    return {"schema": {"type": "string", "description": text}, "x-itemSchema": {"oneOf": events}}


def _merged(answers: dict[str, Any], errors: dict[str, Any], failures: Failures) -> dict[str, Any]:
    """Return the good answers; one whose status is an error's too has both bodies."""
    for status, answer in answers.items():
        if status in errors:
            problem = failures.components[errors[status]["$ref"].rpartition("/")[2]]
            answer["content"][MEDIA_TYPE] = problem["content"][MEDIA_TYPE]
    return answers
