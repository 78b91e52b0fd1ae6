"""What a running server answers is what its documents say: every operation once, every event of a turn."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from eudai_core.testing.scripted_ollama import End, Piece, Reply, ScriptedOllama
from eudai_quart import problems
from support.client import ANSWER_CHECKS, Client, client, events_of
from support.conformance import Conformance, conformance, conforming_event
from support.server import RunningServer


@pytest.fixture
def every_database() -> str:
    """One database is enough: the answers are the surface's."""
    return "sqlite"


@pytest.fixture
def checked() -> Iterator[Conformance]:
    check = Conformance(conformance().document)
    ANSWER_CHECKS.append(check.check)
    yield check
    ANSWER_CHECKS.remove(check.check)


async def test_every_operation_answers_as_it_is_documented(
    server: RunningServer, user: Client, ollama: ScriptedOllama, checked: Conformance
) -> None:
    await _look_at_the_server(user)
    project = await user.project()
    await _work_on_a_project(user, project)
    await _upload_and_download(user, project)
    conversation = await user.conversation(project)
    await _talk(user, conversation, ollama)
    checked.seen.add(await _follow(user, conversation))
    checked.seen.add(await _follow_changes(user))
    await _list_and_change(user, project, conversation)
    await user.call("DELETE", f"/api/conversations/{conversation}", status=204)
    await user.call("DELETE", f"/api/projects/{project}", status=204)
    async with client(server.url):
        pass  # signs up and logs in
    await _manage_accounts(server, user)
    await _change_the_account(user)
    await _renew_and_leave(user)
    operations = {
        described["operationId"] for methods in checked.document["paths"].values() for described in methods.values()
    }
    assert operations - checked.seen == set(), "drive these here too, to a good answer"


async def _look_at_the_server(user: Client) -> None:
    for path in ("/api/health", "/api/health/live", "/api/models", "/openapi.json", "/asyncapi.json", "/docs"):
        assert (await user.request("GET", path)).status == 200
    await user.call("GET", "/api/users/me")


async def _work_on_a_project(user: Client, project: str) -> None:
    path = f"/api/projects/{project}"
    tag = (await user.request("GET", path)).headers["ETag"]
    changes = {"description": "Roses", "settings": {"model": "llama3.2", "retention_days": 30, "overflow": None}}
    assert (await user.request("PUT", path, body=changes, headers={"If-Match": tag})).status == 200
    stale = await user.request("PUT", path, body=changes, headers={"If-Match": tag})
    assert (stale.status, stale.json["code"]) == (412, "precondition_failed")
    await user.call("GET", "/api/projects?limit=1")
    made = await user.request("POST", f"{path}/instructions", body={"instruction_text": "Be brief."})
    await user.call("GET", made.headers["Location"])
    await user.call("PUT", made.headers["Location"], {"position": 3})
    await user.call("GET", f"{made.headers['Location']}/versions")
    await user.call("GET", f"{path}/instructions")
    await user.call("DELETE", made.headers["Location"], status=204)
    page = (await user.request("POST", f"{path}/urls", body={"url": "https://example.org/"})).headers["Location"]
    await user.call("PUT", page, {"pinned": True})
    await user.call("POST", f"{page}/refresh", status=202)
    for told in (page, f"{page}/versions", f"{path}/urls"):
        await user.call("GET", told)
    await user.call("DELETE", page, status=204)


async def _upload_and_download(user: Client, project: str) -> None:
    path = f"/api/projects/{project}/files"
    file = (await user.upload(project, ("a.txt", b"Roses are red."), ("b.json", b"[1]"))).json["items"][0]
    await user.call("GET", path)
    await user.call("GET", f"{path}/{file['id']}")
    down = f"/api/download/files/{file['id']}"
    whole = await user.request("GET", down)
    for headers, status in (
        ({"Range": "bytes=0-3"}, 206),
        ({"Range": "bytes=99-"}, 416),
        ({"If-None-Match": whole.headers["ETag"]}, 304),
    ):
        assert (await user.request("GET", down, headers=headers)).status == status
    assert (await user.upload(project, ("a.txt", b""))).json["code"] == "bad_file"
    assert (await user.upload(project, ("a.txt", b"Roses are red."))).status == 200
    await user.call("PATCH", f"{path}/{file['id']}", {"filename": "b.txt"})
    replacement = aiohttp.FormData({"file": io.BytesIO(b"Roses are white.")})
    assert (await user.request("PUT", f"{path}/{file['id']}", data=replacement)).status == 200
    await user.call("GET", f"{path}/{file['id']}/versions")
    await user.call("DELETE", f"{path}/{file['id']}", status=204)


async def _talk(user: Client, conversation: str, ollama: ScriptedOllama) -> None:
    path = f"/api/conversations/{conversation}"
    ollama.script(Reply.of("Hel", "lo", thinking=("Let me see",)))
    asked = {"content": "Hello?", "client_id": "one", "model": "deepseek-r1", "options": {"temperature": 0.5}}
    exchange = await user.call("POST", f"{path}/messages", asked)
    answer = exchange["bot_message"]["id"]
    report = await user.call("GET", f"/api/messages/{answer}/context")
    assert report["exact"]
    conflict = await user.request("POST", f"{path}/messages", body={**asked, "content": "Something else"})
    assert conflict.json["code"] == "conflict"
    await user.call("POST", f"{path}/regenerate", {"message_id": answer}, status=202)
    await user.call("POST", f"{path}/stop", status=202)
    await _wait_for_quiet(user, conversation)
    await user.call("POST", f"{path}/messages", {"content": "And?", "model": "unknown"}, status=404)
    ollama.script(Reply(steps=[Piece("half"), End()]))
    broken = await user.call("POST", f"{path}/messages", {"content": "Go on"})
    assert broken["bot_message"]["error"]["code"] == "llm_stream_broken"
    await user.call("POST", f"{path}/continue", {"message_id": broken["bot_message"]["id"]}, status=202)
    await _wait_for_quiet(user, conversation)
    assert (await user.request("GET", "/api/search?q=hello")).status == 200


async def _wait_for_quiet(user: Client, conversation: str) -> None:
    """Wait until no answer is being made: a message waits its turn, and is answered after all before it."""
    await user.call("POST", f"/api/conversations/{conversation}/messages", {"content": "Are you there?"})


async def _follow_changes(user: Client) -> str:
    headers = {"Authorization": f"Bearer {user.token}"}
    async with user.http.get(f"{user.url}/api/events", headers=headers) as response:
        assert response.headers["Content-Type"].partition(";")[0] == "text/event-stream"
        project = await user.project()
        async for event in events_of(response.content):
            conforming_event(event)
            if event["id"] == project:
                break
    return "events.stream"


async def _follow(user: Client, conversation: str) -> str:
    url = f"{user.url}/api/conversations/{conversation}/events"
    headers = {"Authorization": f"Bearer {user.token}", "Last-Event-ID": "0"}
    seen = set()
    async with user.http.get(url, headers=headers) as response:
        assert response.headers["Content-Type"].partition(";")[0] == "text/event-stream"
        async for event in events_of(response.content):
            assert event.pop("id") == event["seq"]
            conforming_event(event)
            seen.add(event["type"])
            if {"error", "title", "thinking"} <= seen:
                break
    return "messages.events"


async def _list_and_change(user: Client, project: str, conversation: str) -> None:
    for path in ("/api/conversations", f"/api/projects/{project}/conversations"):
        assert (await user.call("GET", path))["items"]
    for path in (f"/api/conversations/{conversation}", f"/api/projects/{project}/conversations/{conversation}"):
        shown = await user.call("GET", f"{path}?limit=1")
        assert (await user.request("GET", f"{path}?limit=1&cursor={shown['messages']['next']}")).status == 200
    await user.call("PATCH", f"/api/conversations/{conversation}", {"title": "Roses", "model": None})
    await user.call("GET", f"/api/download/conversations/{conversation}?format=json")


async def _manage_accounts(server: RunningServer, user: Client) -> None:
    """Do what administrators do, with another account."""
    account = {"username": "boss", "email": "boss@example.org", "password": "correct horse"}
    await server.app.accounts.create_user(**account, is_admin=True)
    admin, other = Client(user.url, user.http, name="boss"), Client(user.url, user.http)
    await admin.log_in()
    await other.sign_up()
    (shown, *_) = (await admin.call("GET", "/api/admin/users?limit=1"))["items"]
    await admin.call("PATCH", f"/api/admin/users/{shown['id']}", {"is_admin": False, "disabled": False})
    await admin.call("POST", f"/api/admin/users/{shown['id']}/reset-password")
    made = await admin.call("POST", "/api/admin/invites", {"note": "Eve"}, status=201)
    await admin.call("GET", "/api/admin/invites")
    await admin.call("DELETE", f"/api/admin/invites/{made['id']}", status=204)
    for path in ("/api/admin/plugins", "/api/admin/models"):
        await admin.call("GET", path)
    await user.call("GET", "/api/admin/users", status=403)
    await admin.call("DELETE", "/api/users/me", {"current_password": "correct horse"}, status=204)


async def _change_the_account(user: Client) -> None:
    """Change the account, and make, use and revoke a key of it."""
    await user.call("PATCH", "/api/users/me", {"email": "new@example.org", "current_password": "correct horse"})
    made = await user.request("POST", "/api/auth/keys", body={"name": "script", "scopes": ["read"]})
    await Client(user.url, user.http, token=made.json["key"]).call("GET", "/api/users/me")
    await user.call("GET", "/api/auth/keys")
    await user.call("GET", made.headers["Location"])
    await user.call("DELETE", made.headers["Location"], status=204)


async def _renew_and_leave(user: Client) -> None:
    body: dict[str, Any] = {"refresh_token": user.tokens["refresh_token"]}
    user.token = (await user.call("POST", "/api/auth/refresh", body))["access_token"]
    await user.call("POST", "/api/auth/logout", status=204)
    assert (await user.request("GET", "/api/users/me")).json["code"] == "unauthorized"


async def test_admins_are_told_more_of_the_health(server: RunningServer) -> None:
    account = {"username": "root", "email": "root@example.org", "password": "correct horse"}
    await server.app.accounts.create_user(**account, is_admin=True)
    async with client(server.url, signed_up=False) as admin:
        admin.name = "root"
        await admin.log_in()
        told = await admin.call("GET", "/api/health")
    assert "detail" in told["checks"]["storage"]
    assert {plugin["name"] for plugin in told["plugins"]} >= {"eudai-quart"}


def test_an_answer_that_was_interrupted_before_its_first_word_is_a_503() -> None:
    stored = {"code": "interrupted", "title": "Answer interrupted", "detail": "The server stopped."}
    problem = problems.told(stored, "an id")
    assert (problem.status, problem.code, problem.message_id) == (503, "interrupted", "an id")


async def test_the_check_itself_finds_what_is_wrong(user: Client) -> None:
    check = Conformance(conformance().document)
    good = await user.request("GET", "/api/users/me")
    check.check("GET", "/api/users/me", good)
    assert check.seen == {"users.me"}
    me = good.json

    for wrong in (
        replace(good, status=202),
        replace(good, body=json.dumps({**me, "password_hash": "x"}).encode()),
        replace(good, body=json.dumps({**me, "created_at": "yesterday"}).encode()),
        replace(good, body=b"{}"),
        replace(good, headers={**good.headers, "Content-Type": "text/plain"}),
        replace(good, headers={"Content-Type": "application/json"}),
    ):
        with pytest.raises(AssertionError):
            check.check("GET", "/api/users/me", wrong)
