"""The door: nothing without a log-in, and nothing from a foreign page."""

from __future__ import annotations

import uuid

import pytest
import websockets

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
