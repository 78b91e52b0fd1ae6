"""The door: nothing without a log-in, and nothing from a foreign page."""

from __future__ import annotations

import uuid
from typing import NoReturn

import pytest
import websockets

from eudai_core.errors import StorageUnavailable
from eudai_quart.guard import PUBLIC
from support.client import Client, client
from support.server import RunningServer

BAD = ["Bearer", "Bearer  ", "Basic dXNlcjpwYXNz", "Bearer a.b.c", "nonsense", "Bearer " + "x" * 9000]
FROM = [("OWN", True), ("https://evil.example", False), ("null", False), (None, False)]


async def test_every_route_without_a_token_is_401_or_on_the_list(server: RunningServer) -> None:
    seen = set()
    async with client(server.url, signed_up=False) as nobody:
        for rule in server.surface.url_map.iter_rules():
            path = rule.rule
            for argument in rule.arguments:
                path = path.replace(f"<id:{argument}>", str(uuid.uuid4()))
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                seen.add(rule.endpoint)
                if rule.endpoint in PUBLIC or rule.websocket:
                    continue
                answer = await nobody.request(method, path, body={} if method in {"POST", "PUT", "PATCH"} else None)
                assert (answer.status, answer.json["title"]) == (401, "Unauthorized"), (method, path)
    assert seen >= PUBLIC
    assert len(seen) > 25


async def test_a_socket_without_a_token_is_refused_before_the_upgrade(server: RunningServer, user: Client) -> None:
    conversation = await user.conversation()
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with user.chat(conversation, additional_headers={}):
            pass
    assert refused.value.response.status_code == 401
    assert b"Unauthorized" in refused.value.response.body


@pytest.mark.parametrize("authorization", BAD)
async def test_bad_authorization_is_401(server: RunningServer, authorization: str) -> None:
    async with client(server.url, signed_up=False) as nobody:
        answer = await nobody.request("GET", "/api/users/me", headers={"Authorization": authorization})
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_a_bearer_token_that_is_bad_is_not_saved_by_a_good_cookie(user: Client) -> None:
    headers = {"Cookie": f"eudai_session={user.token}", "Authorization": "Bearer a.b.c"}
    user_without = Client(user.url, user.http)
    answer = await user_without.request("GET", "/api/users/me", headers=headers)
    assert answer.status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Origin": "OWN"}, 201),
    ],
)
async def test_the_cookie_changes_things_only_from_our_own_pages(
    user: Client, headers: dict[str, str], status: int
) -> None:
    sent = {name: value.replace("OWN", user.url) for name, value in headers.items()}
    browser = Client(user.url, user.http)
    cookie = {"Cookie": f"eudai_session={user.token}"}
    answer = await browser.request("POST", "/api/projects", body={"name": "x"}, headers={**cookie, **sent})
    assert answer.status == status
    read = await browser.request("GET", "/api/projects", headers={**cookie, **sent})
    assert read.status == 200


@pytest.mark.parametrize(("origin", "good"), FROM)
async def test_a_cookie_socket_is_for_our_own_pages(user: Client, origin: str | None, good: bool) -> None:
    conversation = await user.conversation()
    headers = {"Cookie": f"eudai_session={user.token}"}
    if origin is not None:
        headers["Origin"] = origin.replace("OWN", user.url)
    if good:
        async with user.chat(conversation, additional_headers=headers) as chat:
            await chat.send("ping")
            assert (await chat.next())["type"] == "pong"
        return
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with user.chat(conversation, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 403


async def test_a_token_may_come_as_a_subprotocol(user: Client) -> None:
    conversation = await user.conversation()
    offered = ["eudai", f"bearer.{user.token}"]
    headers = {"Origin": "https://elsewhere.example"}
    async with user.chat(conversation, additional_headers=headers, subprotocols=offered) as chat:
        assert chat.socket.subprotocol == "eudai"
        await chat.send("ping")
        assert (await chat.next())["type"] == "pong"


async def test_a_stranger_gets_no_socket(server: RunningServer, user: Client) -> None:
    conversation = await user.conversation()
    async with client(server.url) as stranger:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with stranger.chat(conversation):
                pass
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize("path", ["not-an-id", "123", "a" * 36 + "x", "%00", "..%2F..", "a" * 32])
async def test_a_bad_id_is_invalid_data(user: Client, path: str) -> None:
    answer = await user.request("GET", f"/api/projects/{path}")
    assert (answer.status, answer.json["title"]) in {(400, "Bad request"), (404, "Not found")}
    if "%" not in path:
        assert answer.json["errors"] == [{"path": "$.project_id", "message": "is no UUID"}]


async def test_every_answer_has_the_security_headers(user: Client) -> None:
    for path in ("/api/projects", "/api/nothing", "/api/health", "/"):
        answer = await user.request("GET", path)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert len(answer.headers["X-Request-Id"]) == 16
        assert "Server" not in answer.headers


async def test_an_answer_without_a_body_says_nothing_of_its_length(user: Client) -> None:
    project = await user.project()
    tag = (await user.request("GET", f"/api/projects/{project}")).headers["ETag"]
    unchanged = await user.request("GET", f"/api/projects/{project}", headers={"If-None-Match": tag})
    deleted = await user.request("DELETE", f"/api/projects/{project}")
    assert [unchanged.status, deleted.status] == [304, 204]
    for answer in (unchanged, deleted):
        assert "Content-Length" not in answer.headers
        assert "Content-Type" not in answer.headers
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_stream_says_to_head_what_it_says_to_get(server: RunningServer, user: Client) -> None:
    path = f"/api/conversations/{await user.conversation()}/events"
    async with client(server.url) as stranger:
        assert [(await one.request("HEAD", path)).status for one in (user, stranger)] == [200, 404]
        nobody = Client(server.url, user.http)
        assert (await nobody.request("HEAD", path)).status == 401


@pytest.mark.parametrize("token", [True, False])
async def test_health_is_told_whoever_asks_while_storage_is_down(
    server: RunningServer, user: Client, monkeypatch: pytest.MonkeyPatch, token: bool
) -> None:
    down = StorageUnavailable("The database does not answer.")

    async def unavailable(*_: object) -> NoReturn:
        raise down

    monkeypatch.setattr(server.app.storage, "health", unavailable)
    monkeypatch.setattr(server.app.accounts, "authenticate", unavailable)
    asking = user if token else Client(server.url, user.http)
    answer = await asking.request("GET", "/api/health")
    assert (answer.status, answer.json["status"]) == (503, "down")
    assert answer.json["checks"]["storage"] == {"status": "down"}
    assert "plugins" not in answer.json
    refused = await asking.request("GET", "/api/projects")
    assert (refused.status, refused.json["code"]) == (503, "storage_error")


async def test_plugins_are_named_to_administrators_only(server: RunningServer, user: Client) -> None:
    assert "plugins" not in await user.call("GET", "/api/health")
    await server.app.accounts.create_user(
        username="chief", email="chief@example.org", password="correct horse", is_admin=True
    )
    async with client(server.url, signed_up=False) as chief:
        chief.name = "chief"
        await chief.log_in()
        assert {plugin["name"] for plugin in (await chief.call("GET", "/api/health"))["plugins"]} >= {"eudai-quart"}
