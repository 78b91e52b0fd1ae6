"""The page that shows both documents: plain HTML, made here, without scripts and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from eudai_quart.openapi.types import members, prose, type_text
from eudai_quart.problems import MEDIA_TYPE

__all__ = ["render"]

_POLICY: Final = (
    "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_DIRECTIONS: Final = (("receive", "From the client"), ("send", "From the server"))


def render(openapi: Mapping[str, Any], asyncapi: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return the page, and the content security policy that lets its style, and nothing else, work."""
    here = files("eudai_quart.openapi")
    style = here.joinpath("page.css").read_text("utf-8")
    source = here.joinpath("page.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page = environment.from_string(source).render(
        title=openapi["info"]["title"],
        version=openapi["info"]["version"],
        about=prose(openapi["info"]["description"]),
        style=Markup(style),  # noqa: S704 -- a file of ours
        sections=list(_sections(openapi)),
        channels_about=prose(asyncapi["info"]["description"]),
        channels=[_channel(asyncapi, name) for name in asyncapi["channels"]],
        schemas=[_schema(name, schema) for name, schema in _all_schemas(openapi, asyncapi).items()],
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return page.encode(), _POLICY.format(digest)


def _all_schemas(openapi: Mapping[str, Any], asyncapi: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted({**asyncapi["components"]["schemas"], **openapi["components"]["schemas"]}.items()))


def _sections(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for tag in document["tags"]:
        yield {
            "name": tag["name"],
            "description": prose(tag["description"]),
            "operations": [
                _operation(document, path, method, described)
                for path, methods in document["paths"].items()
                for method, described in methods.items()
                if tag["name"] in described["tags"]
            ],
        }


def _operation(document: Mapping[str, Any], path: str, method: str, described: Mapping[str, Any]) -> dict[str, Any]:
    answers = [_answer(status, _found(document, answer)) for status, answer in sorted(described["responses"].items())]
    bad = [answer for answer in answers if answer["status"][0] in "45" and answer["only_problem"]]
    return {
        "id": described["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": _inline(described.get("summary", "")),
        "description": prose(described.get("description", "")),
        "public": described.get("security") == [],
        "parameters": [_parameter(_found(document, one)) for one in described.get("parameters", ())],
        "body": _parts(described.get("requestBody", {})),
        "answers": [answer for answer in answers if answer not in bad],
        "errors": bad,
    }


def _found(document: Mapping[str, Any], described: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a reference leads to."""
    found: Mapping[str, Any] = described
    if "$ref" in described:
        found = document
        for step in described["$ref"].removeprefix("#/").split("/"):
            found = found[step]
    return found


def _inline(text: str) -> Markup:
    return Markup(str(prose(text)).removeprefix("<p>").removesuffix("</p>"))  # noqa: S704 -- prose escapes


def _parameter(described: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": described["name"],
        "place": described["in"],
        "needed": described["required"],
        "type": type_text(described["schema"]),
        "description": prose(described["description"]),
    }


def _answer(status: str, described: Mapping[str, Any]) -> dict[str, Any]:
    headers = [name for name in described.get("headers", ()) if name != "X-Request-Id"]
    return {
        "status": status,
        "parts": _parts(described),
        "headers": headers,
        "description": prose(described["description"]),
        "only_problem": set(described.get("content", ())) == {MEDIA_TYPE},
    }


def _parts(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"media": media, "type": type_text(_schema_of(content))}
        for media, content in described.get("content", {}).items()
    ]


def _schema_of(content: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = content.get("x-itemSchema") or content.get("schema") or {"format": "binary"}
    return found


def _channel(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    described = document["channels"][name]
    query = described["bindings"]["ws"].get("query", {})
    return {
        "id": name,
        "path": described["address"],
        "summary": _inline(described["title"]),
        "query": members(query),
        "closes": list(described.get("x-close-codes", {}).items()),
        "directions": [
            {"prefix": f"{name}-{action}", "title": title, "messages": list(_events(document, f"{name}.{action}"))}
            for action, title in _DIRECTIONS
        ],
    }


def _events(document: Mapping[str, Any], operation: str) -> Iterator[dict[str, Any]]:
    for reference in document["operations"].get(operation, {}).get("messages", ()):
        message = document["components"]["messages"][reference["$ref"].rpartition("/")[2]]
        schema = _schema("", _found(document, message["payload"]))
        yield {**schema, "name": message["name"], "summary": _inline(message["summary"])}


def _schema(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    shown = members(schema)
    return {
        "name": name,
        "summary": _inline(schema.get("description", "")),
        "type": "" if shown or schema.get("type") == "object" else type_text(schema),
        "members": shown,
    }
