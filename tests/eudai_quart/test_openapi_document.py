"""The OpenAPI document: valid, complete, and true to the routes that it is made from."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from quart import Blueprint

from eudai_core.chat.service import OPTIONS
from eudai_core.services.projects import SETTINGS
from eudai_quart.guard import PUBLIC
from eudai_quart.openapi.document import openapi_document
from eudai_quart.openapi.failures import known_failures
from eudai_quart.openapi.headers import GIVEN, TAKEN
from eudai_quart.openapi.operation import UPLOAD, Channel, Operation, declared
from eudai_quart.openapi.routes import routes_of
from eudai_quart.wire import requests
from eudai_quart.wire.events import ClientEvent
from eudai_quart.wire.requests import Empty, SettingsChange, TurnOptions
from support.conformance import bare_surface

SURFACE = bare_surface()
DOCUMENT = openapi_document(SURFACE)
VIEWS = {name: view for name, view in SURFACE.view_functions.items() if name != "static"}
OPERATIONS = {
    (path, method): described for path, methods in DOCUMENT["paths"].items() for method, described in methods.items()
}
ROOT = Path(__file__).parents[2]


def found(described: dict[str, Any]) -> dict[str, Any]:
    step: Any = DOCUMENT
    for name in described["$ref"].removeprefix("#/").split("/") if "$ref" in described else ():
        step = step[name]
    return step if "$ref" in described else described


def test_it_is_valid_openapi() -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []
    assert msgspec.json.decode(msgspec.json.encode(DOCUMENT)) == DOCUMENT


def test_it_has_every_route_and_no_other() -> None:
    routes = {
        (re.sub(r"<[^>]*?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in SURFACE.url_map.iter_rules()
        if not rule.websocket
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert set(OPERATIONS) == routes


def test_it_agrees_with_the_reference_page() -> None:
    page = (ROOT / "docs" / "reference" / "rest.md").read_text("utf-8")
    written = set(re.findall(r"^\| (GET|POST|PUT|PATCH|DELETE) `([^`]+)`", page, re.MULTILINE))
    assert {(method.upper(), re.sub(r"\{\w+\}", ":id", path)) for path, method in OPERATIONS} == written


@pytest.mark.parametrize("name", VIEWS)
def test_every_route_says_what_it_takes_and_gives(name: str) -> None:
    assert declared(VIEWS[name]) is not None, f"{name} needs @operation(…), or @channel(…) for a WebSocket"
    assert (VIEWS[name].__doc__ or "").strip(), f"{name} needs a docstring: its first line is the summary"


READERS = {"read_json": "body", "query": "query", "uploads": "body"}
HELPERS = {
    "expected_version": {"takes": "If-Match"},
    "expected_revision": {"takes": "If-Match"},
    "has_already": {"takes": "If-None-Match"},
    "shown": {"takes": "If-None-Match", "gives": "ETag"},
    "entity_tag": {"gives": "ETag"},
    "created": {"gives": "Location"},
}


def calls(view: Callable[..., Any], module: Any, seen: set[str]) -> Iterator[ast.Call]:
    """Give the calls in a function, and in the functions of its module that it calls."""
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(view)))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node
            helper = getattr(module, node.func.id, None)
            if inspect.isfunction(helper) and helper.__module__ == module.__name__ and node.func.id not in seen:
                seen.add(node.func.id)
                yield from calls(helper, module, seen)


def named(call: ast.Call, module: Any) -> Any:
    return UPLOAD if call.func.id == "uploads" else getattr(module, call.args[0].id)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", VIEWS)
def test_what_a_route_declares_is_what_it_reads_and_sends(name: str) -> None:
    view = VIEWS[name]
    module, declaration = sys.modules[view.__module__], declared(view)
    assert declaration is not None
    body = declaration.body if isinstance(declaration, Operation) else None
    said: dict[str, Any] = {"body": body, "query": declaration.query}
    done: dict[str, Any] = {"body": None, "query": None}
    headers: dict[str, set[str]] = {"takes": set(), "gives": set()}
    for call in calls(view, module, set()):
        key = call.func.id  # type: ignore[attr-defined]  # calls() gives calls of names only
        if key in READERS:
            kind = named(call, module)
            done[READERS[key]] = None if kind is Empty else kind
            if key == "read_json" and isinstance(declaration, Operation):
                optional = any(keyword.arg == "optional" for keyword in call.keywords)
                assert declaration.body_needed is not optional
        elif key in HELPERS:
            for direction, header in HELPERS[key].items():
                headers[direction].add(header)
    assert said == done
    if isinstance(declaration, Operation):
        assert headers["takes"] <= set(declaration.takes)
        assert headers["gives"] <= {header for answer in declaration.answers for header in answer.headers}


@pytest.mark.parametrize("name", VIEWS)
def test_a_declaration_names_headers_that_are_described(name: str) -> None:
    declaration = declared(VIEWS[name])
    if isinstance(declaration, Channel):
        return
    assert declaration is not None
    assert set(declaration.takes) <= set(TAKEN)
    assert {header for answer in declaration.answers for header in answer.headers} <= set(GIVEN)
    assert [answer.status for answer in declaration.answers] != []


def test_operations_are_named_like_their_endpoints_and_tagged_by_concern() -> None:
    names = [described["operationId"] for described in OPERATIONS.values()]
    assert len(names) == len(set(names))
    assert set(names) == {name for name in VIEWS if isinstance(declared(VIEWS[name]), Operation)}
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for described in OPERATIONS.values():
        assert described["tags"] == [described["operationId"].rpartition(".")[0]]
        assert set(described["tags"]) <= tags
        assert described["summary"]
        assert not described["summary"].endswith(".")
    assert all(tag["description"].endswith(".") for tag in DOCUMENT["tags"])


def test_only_public_routes_need_no_log_in() -> None:
    assert DOCUMENT["security"] == [{"bearer": []}, {"cookie": []}]
    for described in OPERATIONS.values():
        public = described["operationId"] in PUBLIC
        assert (described.get("security", [None])[:1] in ([], [{}])) is public, described["operationId"]
        assert public or "401" in described["responses"]


def documented_codes() -> dict[str, int]:
    codes = {}
    for described in OPERATIONS.values():
        for status, reference in described["responses"].items():
            content = found(reference).get("content", {}).get("application/problem+json", {})
            for code, example in content.get("examples", {}).items():
                assert example["value"]["status"] == int(status)
                codes[code] = int(status)
    return codes


def test_every_error_code_is_documented_and_no_unknown_one() -> None:
    # 405 is an answer to methods that are in no document.
    assert {**documented_codes(), "method_not_allowed": 405} == known_failures()


def test_every_code_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    titles = set(re.findall(r"^\| \d{3} \| ([^|]+?) \|", page, re.MULTILINE))
    codes = set(re.findall(r"`(\w+)`", page))
    assert set(documented_codes()) <= codes | {title.lower().replace(" ", "_") for title in titles}


def described_things() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        yield name, schema
        for member, described in schema.get("properties", {}).items():
            if member != "type" or "enum" not in described:  # the tag of an event says only which it is
                yield f"{name}.{member}", described
    for kind in ("headers", "parameters", "responses"):
        for name, described in DOCUMENT["components"][kind].items():
            yield name, described
    for (path, method), operation in OPERATIONS.items():
        for parameter in operation.get("parameters", ()):
            yield f"{method} {path} {parameter.get('name', '')}", found(parameter)
        for status, response in operation["responses"].items():
            yield f"{method} {path} {status}", found(response)


def test_everything_is_described_in_a_sentence() -> None:
    texts = {name: described.get("description", "").strip() for name, described in described_things()}
    assert len(texts) > 300
    assert [name for name, text in texts.items() if not text.endswith((".", "…")) or "``" in text] == []


def test_ids_are_uuids_and_pages_are_bounded() -> None:
    for (path, _), described in OPERATIONS.items():
        parameters = {parameter["name"]: parameter for parameter in map(found, described.get("parameters", ()))}
        for name in re.findall(r"\{(\w+)\}", path):
            assert parameters[name]["schema"] == {"type": "string", "format": "uuid"}
        if "limit" in parameters:
            schema = parameters["limit"]["schema"]
            assert (schema["minimum"], schema["maximum"], schema["default"]) == (1, 200, 50)
            assert "cursor" in parameters


COMING_IN: list[type[msgspec.Struct]] = [*requests.Strict.__subclasses__(), *get_args(ClientEvent)]


def texts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "string" and "format" not in schema and "enum" not in schema:
            yield schema
        for name, value in schema.items():
            if name != "examples":
                yield from texts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from texts(value)


@pytest.mark.parametrize("kind", COMING_IN, ids=lambda kind: kind.__name__)
def test_every_text_that_comes_in_is_bounded(kind: type[msgspec.Struct]) -> None:
    # A log-in tells nothing about what a name or password may be: any text is answered with the same 401.
    if kind.__name__ not in {"Login", "Refresh"}:
        _, components = msgspec.json.schema_components([kind])
        assert [text for text in texts(components) if "maxLength" not in text] == []


def test_nested_bodies_have_the_members_that_the_services_know() -> None:
    assert set(TurnOptions.__struct_fields__) == set(OPTIONS)
    assert set(SettingsChange.__struct_fields__) == set(SETTINGS)


def test_routes_of_plugins_are_there_with_what_is_known_of_them() -> None:
    app = bare_surface()
    garden = Blueprint("garden", __name__)

    @garden.get("/beds/<int:number>/<path:rest>")
    async def bed(number: int, rest: str) -> str:
        """Show a bed.

        With its ``roses``.
        """
        return f"{number}{rest}"

    @garden.route("/open", methods=["GET", "POST"])
    async def everybody() -> str:
        return "come in"

    app.register_blueprint(garden, name="gardener:garden", url_prefix="/api/x/gardener")
    app.public.add("gardener:garden.everybody")
    document = openapi_document(app)
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    shown = document["paths"]["/api/x/gardener/beds/{number}/{rest}"]["get"]
    assert (shown["operationId"], shown["tags"]) == ("gardener:garden.bed", ["gardener"])
    assert (shown["summary"], shown["description"]) == ("Show a bed", "With its `roses`.")
    assert [parameter["schema"]["type"] for parameter in shown["parameters"]] == ["integer", "string"]
    assert set(shown["responses"]) >= {"default", "401"}
    both = document["paths"]["/api/x/gardener/open"]
    assert {method: described["operationId"] for method, described in both.items()} == {
        "get": "gardener:garden.everybody.get",
        "post": "gardener:garden.everybody.post",
    }
    assert both["get"]["security"] == []
    assert "401" not in both["get"]["responses"]
    assert {"name": "gardener", "description": "Routes of the plugin gardener."} in document["tags"]


def test_nothing_of_it_is_loaded_when_the_server_starts() -> None:
    code = (
        "import sys, eudai_quart.asgi; "
        "print(*(name for name in ('document', 'asyncapi', 'page', 'schemas') "
        "if f'eudai_quart.openapi.{name}' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


def test_routes_are_told_one_by_one() -> None:
    routes = list(routes_of(SURFACE))
    assert [route.name for route in routes if not route.method] == ["events.socket", "sockets.conversation"]
    assert all(route.has_ids == ("_id}" in route.path) for route in routes)
