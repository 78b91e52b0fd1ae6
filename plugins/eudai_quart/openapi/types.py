"""Schemas in words, for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from markupsafe import Markup, escape

__all__ = ["members", "prose", "type_text"]

_CODE: Final = re.compile(r"`([^`]+)`")
_LINK: Final = re.compile(r"\[([^\]]+)\]\((/[^)\s]*)\)")
_BOUNDS: Final = (
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("minimum", "from {}"),
    ("maximum", "to {}"),
)
_WORDS: Final = {
    "array": "list",
    "boolean": "true or false",
    "integer": "whole number",
    "null": "null",
    "number": "number",
    "object": "object",
    "string": "text",
}
_FORMATS: Final = {"uuid": "UUID", "date-time": "time", "binary": "bytes"}


def prose(text: str) -> Markup:
    """Return a text with its paragraphs, its code in backticks and its links to this server."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return Markup("\n").join(Markup("<p>{}</p>").format(_inline(part)) for part in paragraphs if part)


def type_text(schema: Mapping[str, Any], prefix: str = "schema") -> Markup:
    """Return what a schema allows; ``prefix`` begins the anchors of the schemas that it refers to."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#{}-{}">{}</a>').format(prefix, name, name)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return Markup(" or ").join(dict.fromkeys(type_text(one, prefix) for one in schema[several]))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Markup(" or ").join(Markup("<code>{}</code>").format(value) for value in values)
    return Markup(", ").join([_plain(schema, prefix), *_bounds(schema)])


def members(schema: Mapping[str, Any], prefix: str = "schema") -> list[dict[str, Any]]:
    """Return the members of an object, as rows of a table."""
    needed = schema.get("required", ())
    return [
        {
            "name": name,
            "type": type_text(member, prefix),
            "place": "",
            "needed": name in needed,
            "description": prose(member.get("description", "")),
        }
        for name, member in schema.get("properties", {}).items()
    ]


def _inline(text: str) -> Markup:
    marked = _CODE.sub(r"<code>\1</code>", str(escape(text)))
    return Markup(_LINK.sub(r'<a href="\2">\1</a>', marked))  # noqa: S704 -- it was escaped before it was marked up


def _plain(schema: Mapping[str, Any], prefix: str) -> Markup:
    kind = schema.get("type")
    if kind == "array":
        return Markup("list of {}").format(type_text(schema.get("items", {}), prefix))
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return Markup("object, each member {}").format(type_text(schema["additionalProperties"], prefix))
    return escape(_FORMATS.get(schema.get("format", ""), _WORDS.get(str(kind), "anything")))


def _bounds(schema: Mapping[str, Any]) -> Iterator[Markup]:
    for key, words in _BOUNDS:
        if key in schema:
            yield escape(words.format(schema[key]))
    if "default" in schema and schema["default"] is not None:
        yield Markup("by default <code>{}</code>").format(_shown(schema["default"]))


def _shown(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
