"""Search over REST, from the outside."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from support.client import Client, client
from support.eventually import eventually
from support.server import RunningServer

MEMBERS = {"type", "id", "project_id", "conversation_id", "name", "snippet", "highlights", "score", "timestamp"}


async def search(user: Client, q: str, **query: object) -> Any:
    more = "".join(f"&{name}={quote(str(value))}" for name, value in query.items())
    return await user.call("GET", f"/api/search?q={quote(q)}{more}")


async def found(user: Client, q: str, count: int, **query: object) -> list[dict[str, Any]]:
    async def look() -> list[dict[str, Any]] | None:
        items: list[dict[str, Any]] = (await search(user, q, **query))["items"]
        return items if len(items) == count else None

    return await eventually(look)


async def test_what_was_said_and_uploaded_is_found(user: Client, server: RunningServer) -> None:
    project = await user.project()
    conversation = await user.conversation(project)
    body = {"content": "Do capybaras like oranges?"}
    exchange = await user.call("POST", f"/api/conversations/{conversation}/messages", body)
    uploaded = await user.upload(project, ("capybara.md", "A capybara in a bath. 🎉 With oranges.".encode()))
    file_id = uploaded.json["items"][0]["id"]
    await server.app.indexer.catch_up()
    items = {item["id"]: item for item in await found(user, "capybaras", 3)}
    assert exchange["bot_message"]["id"] in items  # the scripted model repeats the question
    message, file = items[exchange["user_message"]["id"]], items[file_id]
    assert set(message) == set(file) == MEMBERS
    assert (message["type"], message["conversation_id"]) == ("message", conversation)
    assert (file["type"], file["conversation_id"], file["name"]) == ("file", None, "capybara.md")
    assert {message["project_id"], file["project_id"]} == {project}
    shown = [message["snippet"][one["start"] : one["end"]] for one in message["highlights"]]
    assert (message["snippet"], shown) == ("Do capybaras like oranges?", ["capybaras"])
    assert [item["id"] for item in await found(user, "oranges", 1, type="file")] == [file_id]
    await found(user, "capybara", 3, project_id=project, type="file,message")
    first = await search(user, "capybara", limit=2)
    second = await search(user, "capybara", limit=2, cursor=first["next"])
    assert {item["id"] for page in (first, second) for item in page["items"]} == set(items)
    assert second["next"] is None


async def test_others_find_nothing_of_it(user: Client, server: RunningServer) -> None:
    project = await user.project()
    conversation = await user.conversation(project)
    await user.call("POST", f"/api/conversations/{conversation}/messages", {"content": "Secret capybaras"})
    await server.app.indexer.catch_up()
    await found(user, "capybaras", 2)
    async with client(server.url) as other:
        assert await search(other, "capybaras") == {"items": [], "next": None}
        await other.call("GET", f"/api/search?q=capybaras&project_id={project}", status=404)
    async with client(server.url, signed_up=False) as nobody:
        await nobody.call("GET", "/api/search?q=capybaras", status=401)


async def test_a_deleted_conversation_is_found_no_more(user: Client, server: RunningServer) -> None:
    conversation = await user.conversation()
    await user.call("POST", f"/api/conversations/{conversation}/messages", {"content": "Fleeting capybaras"})
    await server.app.indexer.catch_up()
    await found(user, "fleeting", 2)
    await user.call("DELETE", f"/api/conversations/{conversation}", status=204)
    assert (await search(user, "fleeting"))["items"] == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("", "$.q"),
        ("?q=", "$.q"),
        ("?q=%20", "$.q"),
        ("?q=a%00b", "$.q"),
        ("?q=a&limit=0", "$.limit"),
        ("?q=a&limit=x", "$.limit"),
        ("?q=a&type=page", "$.type"),
        ("?q=a&type=", "$.type"),
        ("?q=a&project_id=7", "$.project_id"),
        ("?q=a&cursor=zzz", "$.cursor"),
        ("?q=a&colour=red", "$.colour"),
    ],
)
async def test_what_is_wrong_is_named(user: Client, query: str, path: str) -> None:
    problem = await user.call("GET", f"/api/search{query}", status=400)
    assert [error["path"] for error in problem["errors"]] == [path]


@pytest.mark.parametrize("q", ["\"'; --", "🎉", "東京", "a" * 5000, "AND OR NOT (", "%_\\", "c++"])
async def test_any_text_is_safe(user: Client, q: str) -> None:
    assert await search(user, q) == {"items": [], "next": None}
