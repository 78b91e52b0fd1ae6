"""The whole route table: without credentials, and with another user's objects in every position."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from eudai_core.ids import new_id
from eudai_quart.guard import PUBLIC
from eudai_quart.openapi.operation import Operation, declared
from support.client import Client, client
from support.server import RunningServer
from support.surface_walk import BODIES, Step, furnish, observed, send, steps, told, websocket_refusal


def unknown_like(ids: Mapping[str, str]) -> dict[str, str]:
    return {name: str(new_id()) for name in ids}


async def test_without_a_token_all_is_401_but_what_is_public(server: RunningServer, user: Client) -> None:
    ids = {**await furnish(user), "invite_id": str(new_id())}
    before = await observed(user, ids)
    reached = set()
    async with client(server.url, signed_up=False) as nobody:
        for step in steps(server.surface, implied=True):
            reached.add(step.endpoint)
            for given in (ids, unknown_like(ids)):
                if step.method == "":
                    status, body = await websocket_refusal(nobody, step.path(given), {})
                else:
                    answer = await send(nobody, step, given)
                    status, body = answer.status, answer.body
                if step.endpoint in PUBLIC:
                    assert status in {200, 201, 401, 409}, step
                    continue
                assert status == 401, step
                if step.method != "HEAD":
                    assert told(body, given)["title"] == "Unauthorized", step
    assert reached >= PUBLIC
    assert len(reached) > 60
    assert await observed(user, ids) == before


def combinations(step: Step, theirs: Mapping[str, str], own: Mapping[str, str]) -> list[dict[str, str]]:
    """Return ids for a route: another's in at least one place, one's own in the others."""
    names = step.arguments
    chosen = [dict(zip(names, pick, strict=True)) for pick in itertools.product(*((theirs[n], own[n]) for n in names))]
    return [ids for ids in chosen if any(value == theirs[name] for name, value in ids.items())]


async def test_another_users_objects_are_not_there_in_any_path(server: RunningServer, user: Client) -> None:
    async with client(server.url) as stranger:
        theirs, own = await furnish(user), await furnish(stranger)
        theirs["invite_id"] = own["invite_id"] = str(new_id())
        before = await observed(user, theirs)
        unknown = unknown_like(theirs)
        walked = 0
        for step in steps(server.surface, implied=True):
            if not step.arguments or step.method == "OPTIONS":
                continue
            for ids in combinations(step, theirs, own):
                never = {name: unknown[name] if value == theirs[name] else value for name, value in ids.items()}
                found = [await _taken(stranger, step, {**theirs, **given}) for given in (ids, never)]
                assert found[0][0] in ({403, 404} if step.endpoint.startswith("admin.") else {404}), (step, found)
                assert found[0] == found[1], (step, found)
                walked += 1
            assert await observed(user, theirs) == before, step
        assert walked > 60


async def _taken(stranger: Client, step: Step, ids: Mapping[str, str]) -> tuple[int, Any]:
    if step.method == "":
        status, body = await websocket_refusal(stranger, step.path(ids))
    else:
        answer = await send(stranger, step, ids)
        status, body = answer.status, answer.body
    return status, told(body, {name: ids[name] for name in step.arguments})


BODY_PLACES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/conversations/{own}/messages", {"content": "x", "parent_id": "<message_id>"}),
    ("POST", "/api/conversations/{own}/regenerate", {"message_id": "<message_id>"}),
    ("POST", "/api/conversations/{own}/continue", {"message_id": "<message_id>"}),
    ("POST", "/api/conversations/{own}/stop", {"run_id": "<run_id>"}),
    ("PATCH", "/api/conversations/{own}", {"active_message_id": "<message_id>"}),
    ("GET", "/api/conversations/{own}?cursor=<message_id>", {}),
    ("GET", "/api/search?q=beekeeping&project_id=<project_id>", {}),
    ("GET", "/api/projects?cursor=<project_id>", {}),
    ("GET", "/api/conversations?cursor=<conversation_id>", {}),
]


def filled(text: str, ids: Mapping[str, str]) -> str:
    for name, value in ids.items():
        text = text.replace(f"<{name}>", value)
    return text


@pytest.mark.parametrize(("method", "path", "body"), BODY_PLACES, ids=range(len(BODY_PLACES)))
async def test_another_users_ids_in_bodies_and_queries_are_not_there(
    server: RunningServer, user: Client, method: str, path: str, body: dict[str, Any]
) -> None:
    async with client(server.url) as stranger:
        theirs = await furnish(user)
        async with user.chat(theirs["conversation_id"]) as chat:
            await chat.send("user_message", content="And now?")
            theirs["run_id"] = str((await chat.until("ack"))["run_id"])
            await chat.until("bot_message")
        own = await stranger.conversation()
        before = await observed(user, theirs)
        found = []
        for ids in (theirs, unknown_like(theirs)):
            sent = json.loads(filled(json.dumps(body), ids)) if body else None
            answer = await stranger.request(method, filled(path, ids).replace("{own}", own), body=sent)
            found.append((answer.status, told(answer.body, ids)))
        assert found[0] == found[1]
        assert found[0][0] in {400, 404} or found[0][1] in ({"items": [], "next": None}, {}) or method == "POST"
        assert "beekeeping" not in json.dumps(found[0][1]).replace("q=beekeeping", "")
        assert await observed(user, theirs) == before


async def test_another_users_ids_over_an_own_socket_are_not_there(server: RunningServer, user: Client) -> None:
    async with client(server.url) as stranger:
        theirs = await furnish(user)
        before = await observed(user, theirs)
        events: list[tuple[str, dict[str, str]]] = [
            ("user_message", {"content": "x", "parent_id": "<message_id>"}),
            ("regenerate", {"message_id": "<message_id>"}),
            ("continue", {"message_id": "<message_id>"}),
        ]
        async with stranger.chat(await stranger.conversation()) as chat:
            for kind, members in events:
                found = []
                for ids in (theirs, unknown_like(theirs)):
                    await chat.send(kind, **json.loads(filled(json.dumps(members), ids)))
                    error = await chat.until("error")
                    found.append(told(json.dumps(error).encode(), ids))
                assert found[0] == found[1]
                assert found[0]["status"] in {400, 404}
        assert await observed(user, theirs) == before


def test_the_walk_knows_every_route_that_takes_a_body(server: RunningServer) -> None:

    views = server.surface.view_functions
    taking = {
        step.endpoint
        for step in steps(server.surface)
        if isinstance(found := declared(views[step.endpoint]), Operation) and found.body is not None
    }
    assert taking <= BODIES.keys()
