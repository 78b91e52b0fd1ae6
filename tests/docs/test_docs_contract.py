"""The pages of the public contract say what the surface takes and gives."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import get_args
from uuid import uuid4

import msgspec
import pytest
from quart import Quart

from eudai_core.chat.frames import bot_message, user_message
from eudai_core.model import (
    Citation,
    CommandKind,
    Message,
    MessageStatus,
    Phase,
    Run,
    Sender,
    Usage,
)
from eudai_quart.guard import PUBLIC
from eudai_quart.ids import IdConverter
from eudai_quart.routes import BLUEPRINTS
from eudai_quart.wire import answers, chats, content
from eudai_quart.wire.events import ClientEvent

Page = Callable[[str], str]
NOW = datetime(2026, 11, 25, tzinfo=UTC)
ROW = re.compile(r"^\| `?([\w /]+?)`? \|([^|]*)\|", re.MULTILINE)


def section(text: str, title: str) -> Mapping[str, str]:
    """Return the table under a heading: first cell to second cell."""
    part = re.split(r"^## ", text.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return {name: cell for name, cell in ROW.findall(part) if name not in ("type", "object")}


def names(cell: str) -> list[str]:
    """Return the members that a cell lists: without what is nested, with a ? for optional ones."""
    flat = re.sub(r": \{[^}]*\}|\([^)]*\)", "", cell)
    return re.findall(r"\w+\??", flat)


def test_events_from_the_client_are_those_that_are_decoded(page: Page) -> None:
    written = {kind: set(names(cell)) for kind, cell in section(page("reference/events.md"), "From the client").items()}
    decoded = {}
    for struct in get_args(ClientEvent):
        fields = msgspec.structs.fields(struct)
        decoded[str(struct.__struct_config__.tag)] = {
            field.encode_name + ("" if field.required else "?") for field in fields
        }
    assert written == decoded


def test_events_with_messages_have_the_members_that_are_sent(page: Page) -> None:
    written = section(page("reference/events.md"), "From the server")
    message = Message(uuid4(), uuid4(), None, Sender.LLM, "text", NOW)
    run = Run(uuid4(), message.conversation_id, uuid4(), message.id, uuid4(), CommandKind.MESSAGE, "m", "b", "h", NOW)
    assert set(names(written["user_message"])) | {"run_id"} == set(user_message(message, run))
    assert set(names(written["bot_message"])) | {"run_id"} == set(bot_message(message, run.id))


@pytest.mark.parametrize("word", [*Phase, *(status for status in MessageStatus if status is not MessageStatus.PENDING)])
def test_every_phase_and_every_end_is_named(page: Page, word: str) -> None:
    assert f"`{word}`" in page("reference/events.md")


@pytest.mark.parametrize(
    ("name", "struct"),
    [
        ("user", answers.User),
        ("project", answers.Project),
        ("file", answers.File),
        ("document version", content.DocumentVersion),
        ("page", content.Url),
        ("instruction", answers.Instruction),
        ("instruction version", content.InstructionVersion),
        ("conversation", chats.Conversation),
        ("message", chats.Message),
        ("model", answers.Model),
    ],
)
def test_answers_have_the_members_of_the_page(page: Page, name: str, struct: type[msgspec.Struct]) -> None:
    written = section(page("reference/rest.md"), "Members")
    assert names(written[name]) == [field.encode_name for field in msgspec.structs.fields(struct)]


@pytest.mark.parametrize(("name", "value"), [("usage", Usage), ("citation", Citation)])
def test_parts_of_answers_have_the_members_of_the_page(page: Page, name: str, value: type[Usage | Citation]) -> None:
    cell = section(page("reference/rest.md"), "Members")[name].partition(" (")[0]
    assert names(cell) == [field.name for field in dataclasses.fields(value)]


ROUTE = re.compile(r"^\| (GET|POST|PUT|PATCH|DELETE|WebSocket) `([^`]+)`( \*public\*)? \|", re.MULTILINE)


def test_the_page_has_every_route_and_no_other(page: Page) -> None:
    written = [(method, path, bool(public)) for method, path, public in ROUTE.findall(page("reference/rest.md"))]
    assert len(written) == len(set(written))
    assert set(written) == _routes()


def _routes() -> set[tuple[str, str, bool]]:
    app = Quart(__name__, static_folder=None)
    app.url_map.converters["id"] = IdConverter
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    found = set()
    for rule in app.url_map.iter_rules():
        methods = {"WebSocket"} if rule.websocket else (rule.methods or set()) - {"HEAD", "OPTIONS"}
        path = re.sub(r"<[^>]+>", ":id", rule.rule)
        found |= {(method, path, rule.endpoint in PUBLIC) for method in methods}
    return found
