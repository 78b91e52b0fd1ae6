"""Checking real answers against the documents that the surface gives of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Protocol

import jsonschema_rs

from eudai_quart import guard
from eudai_quart.context import Surface
from eudai_quart.ids import IdConverter
from eudai_quart.openapi.asyncapi import asyncapi_document
from eudai_quart.openapi.document import openapi_document
from eudai_quart.routes import BLUEPRINTS

__all__ = ["Conformance", "bare_surface", "conformance", "conforming_event"]


class Answered(Protocol):
    """An answer over HTTP."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


def bare_surface() -> Surface:
    """Return the web application with all its routes and nothing behind them."""
    app = Surface("eudai_quart", static_folder=None)
    app.application = SimpleNamespace(version="0.0.0")  # type: ignore[assignment]  # all that documents ask of it
    app.url_map.converters["id"] = IdConverter
    app.url_map.strict_slashes = False
    app.public = set(guard.PUBLIC)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app


class Conformance:
    """An OpenAPI document, and the operations that were answered well as it says."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.seen: set[str] = set()
        self._paths = [(_pattern(path), methods) for path, methods in document["paths"].items()]
        self._validators: dict[str, Any] = {}

    def check(self, method: str, path: str, answer: Answered) -> None:
        """Fail when an answer is not as the document says; what no document knows may answer as it likes."""
        described = self._described(method, path.partition("?")[0])
        where = f"{method} {path}: {answer.status}"
        if described is None:
            return
        responses = described["responses"]
        assert str(answer.status) in responses, f"{where} is not documented; {sorted(responses)} are"
        response = self.found(responses[str(answer.status)])
        self._check_headers(where, response, answer)
        self._check_body(where, response, answer)
        if answer.status < 400:
            self.seen.add(described["operationId"])

    def found(self, described: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a reference leads to."""
        while "$ref" in described:
            step: Any = self.document
            for name in described["$ref"].removeprefix("#/").split("/"):
                step = step[name]
            described = step
        return described

    def _described(self, method: str, path: str) -> Mapping[str, Any] | None:
        for pattern, methods in self._paths:
            if pattern.fullmatch(path) and method.lower() in methods:
                found: Mapping[str, Any] = methods[method.lower()]
                return found
        return None

    def _check_headers(self, where: str, response: Mapping[str, Any], answer: Answered) -> None:
        told = {name.lower() for name in answer.headers}
        for name in {"ETag", "Location", "Retry-After", "WWW-Authenticate", "Content-Range", "Set-Cookie"}:
            if name.lower() in told:
                assert name in response["headers"], f"{where} has an undocumented {name}"
        for name in {"ETag", "Location", "WWW-Authenticate", "Content-Range", "X-Request-Id"}:
            if name in response["headers"]:
                assert name.lower() in told, f"{where} lacks {name}"

    def _check_body(self, where: str, response: Mapping[str, Any], answer: Answered) -> None:
        content = response.get("content", {})
        if not content:
            assert answer.body == b"", f"{where} has a body"
            return
        media = answer.headers["Content-Type"].partition(";")[0]
        if "*/*" in content and media != "application/problem+json":
            return
        assert media in content, f"{where} is {media}; documented are {sorted(content)}"
        if not media.endswith("json"):
            return
        value, schema = json.loads(answer.body), content[media].get("schema", {})
        errors = list(self._validator(schema).iter_errors(value))
        assert errors == [], f"{where}: {errors[0]!s} in {value}"
        if media == "application/problem+json":
            self._check_problem(where, content[media], answer.status, value)

    def _check_problem(self, where: str, content: Mapping[str, Any], status: int, problem: Mapping[str, Any]) -> None:
        assert problem["status"] == status, where
        assert problem["code"] in content["examples"], f"{where} has the undocumented code {problem['code']}"

    def _validator(self, schema: Mapping[str, Any]) -> Any:
        key = json.dumps(schema)
        if key not in self._validators:
            self._validators[key] = _validator(schema, self.document["components"])
        return self._validators[key]


@lru_cache(maxsize=1)
def conformance() -> Conformance:
    """Return the checks of the document of our own routes."""
    return Conformance(openapi_document(bare_surface()))


@lru_cache(maxsize=1)
def _events() -> Mapping[str, list[Any]]:
    document = asyncapi_document(bare_surface())
    validators: dict[str, list[Any]] = {}
    for channel in ("sockets.conversation", "events.socket"):
        for reference in document["operations"][f"{channel}.send"]["messages"]:
            message = document["components"]["messages"][reference["$ref"].rpartition("/")[2]]
            validators.setdefault(message["name"], []).append(_validator(message["payload"], document["components"]))
    return validators


def conforming_event(event: Mapping[str, Any]) -> None:
    """Fail when an event that the server sent is not as the AsyncAPI document says, or has more members."""
    errors = [list(validator.iter_errors(event)) for validator in _events()[event["type"]]]
    assert [] in errors, f"{errors[0][0]!s} in {event}"


def _validator(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Any:
    whole = _closed({**schema, "components": components})
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def _closed(schema: Any) -> Any:
    """Return a schema that also refuses members that it does not describe."""
    if isinstance(schema, list):
        return [_closed(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(member) for name, member in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("".join("[^/]+" if part.startswith("{") else re.escape(part) for part in _parts(path)) + "/?")


def _parts(path: str) -> list[str]:
    return re.split(r"(\{[^}]+\})", path)
