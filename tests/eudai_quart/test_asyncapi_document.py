"""The AsyncAPI document: its structure, and that it has every event of both directions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import pytest
from quart import Blueprint

from eudai_quart import feed, session, socket_loop
from eudai_quart.openapi.asyncapi import CLOSE_CODES, asyncapi_document
from eudai_quart.wire.events import ClientEvent
from eudai_quart.wire.frames import ServerEvent
from support.conformance import bare_surface, conforming_event

DOCUMENT = asyncapi_document(bare_surface())
CHANNEL = DOCUMENT["channels"]["sockets.conversation"]
MESSAGES = DOCUMENT["components"]["messages"]
PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "events.md").read_text("utf-8")


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def found(reference: str) -> Any:
    step: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        step = step[name]
    return step


def section(title: str) -> dict[str, str]:
    text = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `?(\w+)`? \|([^|]*)\|", text, re.MULTILINE)[1:])


def test_it_has_the_shape_of_asyncapi_3() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert set(DOCUMENT["info"]) == {"title", "version", "description"}
    assert set(DOCUMENT["servers"]["here"]) >= {"host", "protocol"}
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert found(operation["channel"]["$ref"]) in DOCUMENT["channels"].values()
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")
    for channel in DOCUMENT["channels"].values():
        assert set(channel["parameters"]) == set(re.findall(r"\{(\w+)\}", channel["address"]))
        assert channel["bindings"]["ws"]["method"] == "GET"
    for message in MESSAGES.values():
        assert set(message) == {"name", "title", "summary", "contentType", "payload"}


def test_every_reference_leads_somewhere() -> None:
    assert all(found(reference) is not None for reference in set(references(DOCUMENT)))


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schemas_are_valid_and_described(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.meta.validate({"$schema": "http://json-schema.org/draft-07/schema#", **schema})
    assert schema["description"].endswith((".", "…"))
    for member, described in schema.get("properties", {}).items():
        assert member == "type" or described["description"].endswith((".", "…")), member


def test_every_web_socket_is_a_channel() -> None:
    rules = [rule for rule in bare_surface().url_map.iter_rules() if rule.websocket]
    addresses = {re.sub(r"<[^>]*?(\w+)>", r"{\1}", rule.rule) for rule in rules}
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == addresses
    assert set(CHANNEL["bindings"]["ws"]["query"]["properties"]) == {"after"}


@pytest.mark.parametrize(
    ("action", "events", "title"),
    [("receive", ClientEvent, "From the client"), ("send", ServerEvent, "From the server")],
)
def test_both_directions_have_every_event_of_the_page(action: str, events: Any, title: str) -> None:
    operation = DOCUMENT["operations"][f"sockets.conversation.{action}"]
    shown = {found(found(reference["$ref"])["$ref"])["name"] for reference in operation["messages"]}
    assert shown == {str(kind.__struct_config__.tag) for kind in get_args(events)} == set(section(title))


@pytest.mark.parametrize("kind", get_args(ServerEvent), ids=lambda kind: str(kind.__struct_config__.tag))
def test_events_of_the_server_have_the_members_of_the_page(kind: Any) -> None:
    written = set(re.findall(r"`(\w+)\??`", section("From the server")[str(kind.__struct_config__.tag)]))
    assert written <= set(kind.__struct_fields__)


def test_close_codes_are_those_of_the_page_and_of_the_session() -> None:
    assert CHANNEL["x-close-codes"] == {str(code): meaning for code, meaning in CLOSE_CODES.items()}
    assert set(CHANNEL["x-close-codes"]) == set(section("Close codes"))
    ours = {*socket_loop.CLOSING.values(), socket_loop.FAULT, socket_loop.TOO_MANY}
    used = {*ours, session.NOT_ALLOWED, feed.MISSED_SOME}
    assert used <= set(CLOSE_CODES)
    flood = f"More than {socket_loop.MESSAGES} messages in {socket_loop.WINDOW_S:.0f} seconds"
    assert flood in CLOSE_CODES[socket_loop.TOO_MANY]
    assert CHANNEL["x-subprotocol"] == "eudai"


def test_web_sockets_of_plugins_are_there_too() -> None:
    app = bare_surface()
    garden = Blueprint("garden", __name__)

    @garden.websocket("/live")
    async def live() -> None:
        """Follow the bees."""

    app.register_blueprint(garden, name="gardener:garden", url_prefix="/api/x/gardener")
    channel = asyncapi_document(app)["channels"]["gardener:garden.live"]
    assert (channel["address"], channel["title"], channel["messages"]) == (
        "/api/x/gardener/live",
        "Follow the bees",
        {},
    )


@pytest.mark.parametrize("event", [{"type": "pong", "more": 1}, {"type": "delta"}, {"type": "unknown"}])
def test_the_check_of_events_finds_what_is_wrong(event: dict[str, Any]) -> None:
    conforming_event({"type": "pong"})
    with pytest.raises((AssertionError, KeyError)):
        conforming_event(event)
