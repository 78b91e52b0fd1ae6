"""The routes of the running application, as the documents see them."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from werkzeug.routing import BaseConverter, FloatConverter, IntegerConverter, Rule, UUIDConverter

from eudai_quart.context import Surface
from eudai_quart.ids import IdConverter
from eudai_quart.openapi.operation import Channel, Operation, declared

__all__ = ["Route", "routes_of"]

_ARGUMENT: Final = re.compile(r"<(?:[^<>]*:)?(\w+)>")
_IMPLIED: Final = frozenset({"HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Route:
    """One path with one method; ``method`` is empty for a WebSocket."""

    name: str
    path: str
    method: str
    tag: str
    about: str
    summary: str
    description: str
    parameters: tuple[dict[str, Any], ...]
    declaration: Operation | Channel | None
    public: bool

    @property
    def has_ids(self) -> bool:
        """Whether the path names an object."""
        return any(parameter["schema"].get("format") == "uuid" for parameter in self.parameters)


def routes_of(app: Surface) -> Iterator[Route]:
    """Give every route, in the order in which they were registered."""
    for rule in app.url_map.iter_rules():
        methods = [""] if rule.websocket else sorted((rule.methods or set()) - _IMPLIED)
        for method in methods:
            name = rule.endpoint if len(methods) == 1 else f"{rule.endpoint}.{method.lower()}"
            yield _route(app, rule, name, method)


def _route(app: Surface, rule: Rule, name: str, method: str) -> Route:
    view = app.view_functions[rule.endpoint]
    summary, description = _said(view)
    owner, colon, _ = rule.endpoint.partition(":")
    tag = owner if colon else rule.endpoint.rpartition(".")[0] or "other"
    return Route(
        name=name,
        path=_ARGUMENT.sub(r"{\1}", rule.rule),
        method=method,
        tag=tag,
        about=f"Routes of the plugin {owner}." if colon else _paragraph(sys.modules[view.__module__].__doc__),
        summary=summary,
        description=description,
        parameters=tuple(_parameter(found, rule._converters[found]) for found in _ARGUMENT.findall(rule.rule)),
        declaration=declared(view),
        public=rule.endpoint in app.public,
    )


def _said(view: Callable[..., Any]) -> tuple[str, str]:
    """Return the summary and the description of a route: the first paragraph of its docstring, and the rest."""
    text = inspect.cleandoc(view.__doc__ or "")
    first, _, rest = text.partition("\n\n")
    return _paragraph(first).removesuffix("."), rest.replace("``", "`")


def _paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split()).replace("``", "`")


def _parameter(name: str, converter: BaseConverter) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": _meaning(name), "schema": _form(converter)}


def _meaning(name: str) -> str:
    return f"The {name.removesuffix('_id').replace('_', ' ')}'s id." if name.endswith("_id") else f"The {name}."


def _form(converter: BaseConverter) -> dict[str, Any]:
    if isinstance(converter, IdConverter | UUIDConverter):
        return {"type": "string", "format": "uuid"}
    if isinstance(converter, IntegerConverter):
        return {"type": "integer"}
    if isinstance(converter, FloatConverter):
        return {"type": "number"}
    return {"type": "string"}
