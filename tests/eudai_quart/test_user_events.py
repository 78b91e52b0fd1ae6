"""The user's own events, over server-sent events and WebSockets, and across processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import connect

from eudai_core.contracts import MISSED
from eudai_core.testing.scripted_ollama import ScriptedOllama
from eudai_quart import feed
from support.client import ChatSocket, Client, client, events_of
from support.conformance import conforming_event
from support.server import RunningServer, running_server

WAIT_S = 20.0


@asynccontextmanager
async def socket_of(user: Client, **options: Any) -> AsyncIterator[ChatSocket]:
    options.setdefault("additional_headers", {"Authorization": f"Bearer {user.token}"})
    async with connect(f"ws{user.url.removeprefix('http')}/ws/events", compression=None, **options) as socket:
        yield ChatSocket(socket)


@asynccontextmanager
async def stream_of(user: Client) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    headers = {"Authorization": f"Bearer {user.token}"}
    async with user.http.get(f"{user.url}/api/events", headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        assert await answer.content.readline() == b":\n"
        yield events_of(answer.content)


def ids_only(event: Mapping[str, Any]) -> bool:
    return set(event) <= {"type", "action", "id", "at", "project_id", "conversation_id", "status"}


async def test_all_kinds_of_changes_come_and_nothing_but_ids(user: Client, ollama: ScriptedOllama) -> None:
    async with socket_of(user) as live:
        project = await user.project("A secret name")
        created = await live.until("project", action="created", id=project)
        assert set(created) == {"type", "action", "id", "at"}
        conversation = await user.conversation(project)
        await live.until("conversation", action="created", id=conversation)
        file = (await user.upload(project, ("secret.txt", b"A secret text."))).json["items"][0]["id"]
        await live.until("file", action="created", id=file, project_id=project, status="pending")
        await live.until("file", action="updated", id=file, status="ready")
        page = await user.call("POST", f"/api/projects/{project}/urls", {"url": "http://127.0.0.1:1/"}, status=201)
        await live.until("url", action="created", id=page["id"], project_id=project)
        answer = await user.call("POST", f"/api/conversations/{conversation}/messages", {"content": "Why?"})
        assert answer["bot_message"]["status"] == "complete"
        await live.until("run", action="queued", conversation_id=conversation, status="queued")
        await live.until("conversation", action="updated", id=conversation)
        await live.until("run", action="ended", conversation_id=conversation, status="complete")
        await user.call("DELETE", f"/api/projects/{project}", status=204)
        await live.until("project", action="deleted", id=project)
    assert all(ids_only(event) for event in live.events)
    assert "secret" not in json.dumps(live.events)


async def test_the_same_comes_as_server_sent_events(user: Client) -> None:
    async with stream_of(user) as events:
        project = await user.project()
        event = await asyncio.wait_for(anext(events), WAIT_S)
        conforming_event(event)
        assert (event["type"], event["action"], event["id"]) == ("project", "created", project)


async def test_another_users_events_never_come(server: RunningServer, user: Client) -> None:
    async with client(server.url) as other, socket_of(user) as mine, stream_of(user) as streamed:
        async with socket_of(other) as theirs:
            project = await other.project()
            await theirs.until("project", id=project)
        own = await user.project()
        assert (await mine.next())["id"] == own
        assert (await asyncio.wait_for(anext(streamed), WAIT_S))["id"] == own


async def test_the_end_of_the_session_ends_both(user: Client) -> None:
    async with socket_of(user) as live, stream_of(user) as events:
        await user.call("POST", "/api/auth/logout", status=204)
        assert await live.closed() == 4401
        assert [event async for event in events] == []


async def test_a_restart_closes_with_1012(server: RunningServer, user: Client) -> None:
    async with socket_of(user) as live, stream_of(user) as events:
        stopping = asyncio.create_task(server.stop())
        assert await live.closed() == 1012
        assert [event async for event in events] == []
        await stopping


async def test_whoever_missed_something_is_sent_away(server: RunningServer, user: Client) -> None:
    async with socket_of(user) as live, stream_of(user) as events:
        topic = f"user.{(await user.call('GET', '/api/users/me'))['id']}"
        await server.app.user_events._bus.publish(topic, MISSED)
        assert await live.closed() == feed.MISSED_SOME
        assert [event async for event in events] == []


async def test_pings_are_answered_and_nothing_else_is_understood(user: Client) -> None:
    async with socket_of(user) as live:
        await live.send("ping")
        assert (await live.next())["type"] == "pong"
        for message in ("{}", "[", '{"type": "user_message", "content": "x"}', b"\x00"):
            await live.socket.send(message)
            refused = await live.next()
            assert (refused["type"], refused["status"], refused["code"]) == ("error", 400, "bad_request")
            assert refused["errors"][0]["path"].startswith("$")
        await live.send("ping")
        assert (await live.next())["type"] == "pong"


async def test_a_flood_closes_the_socket(user: Client) -> None:
    async with socket_of(user) as live:
        for _ in range(31):
            await live.send("ping")
        assert await live.closed() == 4429


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer a.b.c"}])
async def test_a_stranger_hears_nothing(server: RunningServer, user: Client, headers: dict[str, str]) -> None:
    del server
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with socket_of(user, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 401
    answer = await Client(user.url, user.http).request("GET", "/api/events", headers=headers)
    assert answer.status == 401


async def test_a_key_that_may_only_read_may_follow(user: Client) -> None:
    made = await user.call("POST", "/api/auth/keys", {"name": "eyes", "scopes": ["read"]}, status=201)
    script = Client(user.url, user.http, token=made["key"])
    async with socket_of(script) as live:
        project = await user.project()
        assert (await live.next())["id"] == project
        await user.call("DELETE", f"/api/auth/keys/{made['id']}", status=204)
        assert await live.closed() == 4401


async def test_a_quiet_stream_beats(user: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "HEARTBEAT_S", 0.01)
    headers = {"Authorization": f"Bearer {user.token}"}
    async with user.http.get(f"{user.url}/api/events", headers=headers) as answer:
        for _ in range(6):
            assert await asyncio.wait_for(answer.content.readline(), WAIT_S) in {b":\n", b"\n"}


async def test_head_has_the_head_of_get(user: Client) -> None:
    answer = await user.request("HEAD", "/api/events")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (
        200,
        "text/event-stream; charset=utf-8",
        b"",
    )


async def test_a_slow_reader_costs_a_bounded_queue(server: RunningServer, user: Client) -> None:
    identity = (await user.call("GET", "/api/users/me"))["id"]
    async with socket_of(user) as live:
        bus = server.app.user_events._bus
        for number in range(3000):  # more than a subscriber may have unread, before it had a chance to read one
            await bus.publish(f"user.{identity}", {"type": "project", "action": str(number), "id": "x", "at": "x"})
        await asyncio.wait_for(live.socket.wait_closed(), WAIT_S)
        assert live.socket.close_code == feed.MISSED_SOME


async def test_another_process_is_heard(tmp_path: Path, postgres_url: str, ollama: ScriptedOllama) -> None:
    settings = {
        "EUDAI_DATA_DIR": str(tmp_path / "data"),
        "EUDAI_DATABASE_URL": postgres_url,
        "EUDAI_OLLAMA_HOST": ollama.url,
    }
    async with running_server(settings) as one, running_server(settings) as two, client(one.url) as user:
        elsewhere = Client(two.url, user.http, token=user.token)
        async with socket_of(user) as live, stream_of(elsewhere) as events:
            project = await elsewhere.project()
            assert (await live.until("project"))["id"] == project
            assert (await asyncio.wait_for(anext(events), WAIT_S))["id"] == project
