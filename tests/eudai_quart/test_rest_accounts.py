"""The own account, API keys and administration over REST, and what happens to sockets that are open."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from quart import Quart

from eudai_core.model import Scope
from eudai_quart.openapi.operation import LOG_IN, Operation, declared
from support.client import Answer, Client, client
from support.server import RunningServer

PASSWORD = "correct horse"
NEW = "another horse"


@pytest.fixture
async def admin(server: RunningServer, user: Client) -> Client:
    await server.app.accounts.create_user(username="root", email="root@example.org", password=PASSWORD, is_admin=True)
    root = Client(user.url, user.http, name="root")
    await root.log_in()
    return root


async def again(user: Client) -> Client:
    """Return another session of a user."""
    other = Client(user.url, user.http, name=user.name)
    await other.log_in()
    return other


async def with_key(user: Client, *scopes: str, **members: Any) -> Client:
    """Return a script with a key of a user."""
    body = {"name": "script", "scopes": scopes, **members}
    made = await user.call("POST", "/api/auth/keys", body, status=201)
    return Client(user.url, user.http, token=made["key"], tokens=made, name=user.name)


async def with_cookie(user: Client) -> dict[str, str]:
    """Return the headers of a browser with the web cookie."""
    body = {"username": user.name, "password": PASSWORD, "cookie": True}
    given = (await user.request("POST", "/api/auth/login", body=body)).headers["Set-Cookie"]
    return {"Cookie": given.partition(";")[0], "Sec-Fetch-Site": "same-origin"}


@asynccontextmanager
async def closed_with(code: int, *people: Client, conversation: str) -> AsyncIterator[None]:
    """Open a socket for each, and see them closed with a code by what the block does."""
    async with _sockets(people, conversation) as sockets:
        yield
        codes = await asyncio.wait_for(asyncio.gather(*(socket.closed() for socket in sockets)), 10)
        assert codes == [code] * len(people)


@asynccontextmanager
async def _sockets(people: tuple[Client, ...], conversation: str) -> AsyncIterator[list[Any]]:
    if not people:
        yield []
        return
    async with people[0].chat(conversation) as first, _sockets(people[1:], conversation) as others:
        yield [first, *others]


async def test_a_new_password_ends_the_other_sessions_and_their_sockets(user: Client) -> None:
    conversation = await user.conversation()
    phone = await again(user)
    async with user.chat(conversation) as mine, closed_with(4401, phone, conversation=conversation):
        changed = await user.call("PATCH", "/api/users/me", {"password": NEW, "current_password": PASSWORD})
        assert changed["username"] == user.name
        await mine.send("ping")
        assert (await mine.next())["type"] == "pong"
    await user.call("GET", "/api/users/me")
    await phone.call("GET", "/api/users/me", status=401)
    await phone.call("POST", "/api/auth/refresh", {"refresh_token": phone.tokens["refresh_token"]}, status=401)
    await user.call("POST", "/api/auth/login", {"username": user.name, "password": PASSWORD}, status=401)
    await user.call("POST", "/api/auth/login", {"username": user.name, "password": NEW})


async def test_the_account_changes_with_the_current_password_only(user: Client) -> None:
    for body, status in (
        ({"email": "new@example.org", "current_password": "wrong"}, 401),
        ({"email": "new@example.org"}, 400),
        ({"email": "new@example.org", "current_password": PASSWORD, "is_admin": True}, 400),
        ({"email": "nothing", "current_password": PASSWORD}, 400),
        ({"password": "x" * 73, "current_password": PASSWORD}, 400),
        ({"password": "short", "current_password": PASSWORD}, 400),
        ({"password": "pass\0word", "current_password": PASSWORD}, 400),
    ):
        await user.call("PATCH", "/api/users/me", body, status=status)
    body = {"email": "new@example.org", "current_password": PASSWORD}
    assert (await user.call("PATCH", "/api/users/me", body))["email"] == "new@example.org"
    assert (await user.call("GET", "/api/users/me"))["email"] == "new@example.org"
    assert (await user.call("PATCH", "/api/users/me", {"current_password": PASSWORD}))["email"] == "new@example.org"


async def test_a_password_of_more_than_72_bytes_says_so(user: Client) -> None:
    account = {"username": "long", "email": "long@example.org", "password": "é" * 37}
    answer = await user.request("POST", "/api/auth/signup", body=account)
    assert answer.status == 400
    assert answer.json["errors"][0]["path"] == "$.password"
    assert "72 bytes" in answer.json["detail"]
    await user.call("POST", "/api/auth/login", {"username": user.name, "password": "é" * 37}, status=401)


async def test_deleting_the_account_takes_everything_along(server: RunningServer, user: Client) -> None:
    project = await user.project()
    conversation = await user.conversation(project)
    phone, script = await again(user), await with_key(user, "write")
    await user.call("DELETE", "/api/users/me", {"current_password": "wrong"}, status=401)
    async with closed_with(4401, user, phone, script, conversation=conversation):
        answer = await user.request("DELETE", "/api/users/me", body={"current_password": PASSWORD})
        assert answer.status == 204
        assert answer.headers["Set-Cookie"].startswith("eudai_session=;")
    for someone in (user, phone, script):
        await someone.call("GET", "/api/projects", status=401)
    async with client(server.url) as other:
        await other.call("GET", f"/api/projects/{project}", status=404)


async def test_a_key_is_shown_once_and_listed_without_its_text(user: Client) -> None:
    body = {"name": "script", "scopes": ["chat", "read"], "expires_at": "2999-01-01T00:00:00Z"}
    made = await user.request("POST", "/api/auth/keys", body=body)
    assert (made.status, set(made.json)) == (
        201,
        {"id", "name", "scopes", "expires_at", "last_used_at", "created_at", "key"},
    )
    shown = {name: value for name, value in made.json.items() if name != "key"}
    assert shown["scopes"] == ["read", "chat"]
    assert await user.call("GET", "/api/auth/keys") == {"items": [shown], "next": None}
    assert await user.call("GET", made.headers["Location"]) == shown
    script = Client(user.url, user.http, token=made.json["key"])
    assert (await script.call("GET", "/api/users/me"))["username"] == user.name
    assert (await user.call("GET", made.headers["Location"]))["last_used_at"] is not None
    await user.call("DELETE", made.headers["Location"], status=204)
    await script.call("GET", "/api/users/me", status=401)
    await user.call("DELETE", made.headers["Location"], status=404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["everything"]},
        {"name": "", "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"},
        {"name": "x", "scopes": ["read"], "expires_at": "2999-01-01T00:00:00"},
        {"name": "x", "scopes": ["read"], "user_id": str(uuid.UUID(int=1))},
        {"name": "x" * 101, "scopes": ["read"]},
    ],
    ids=str,
)
async def test_a_key_that_makes_no_sense_is_invalid_data(user: Client, body: dict[str, Any]) -> None:
    answer = await user.request("POST", "/api/auth/keys", body=body)
    assert (answer.status, answer.json["title"]) == (400, "Bad request")


async def test_revoking_a_key_closes_what_it_has_open(user: Client) -> None:
    conversation = await user.conversation()
    script = await with_key(user, "chat")
    async with user.chat(conversation) as mine, closed_with(4401, script, conversation=conversation):
        await user.call("DELETE", f"/api/auth/keys/{script.tokens['id']}", status=204)
        await mine.send("ping")
        assert (await mine.next())["type"] == "pong"
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with script.chat(conversation):
            pass
    assert refused.value.response.status_code == 401


async def test_keys_of_others_are_not_there(server: RunningServer, user: Client) -> None:
    script = await with_key(user, "read")
    async with client(server.url) as stranger:
        for method in ("GET", "DELETE"):
            await stranger.call(method, f"/api/auth/keys/{script.tokens['id']}", status=404)
    await script.call("GET", "/api/projects")


GRANTS: dict[str, set[str]] = {
    "read": {"read", "chat", "write"},
    "chat": {"chat", "write"},
    "write": {"write"},
    "admin": {"admin"},
    LOG_IN: set(),
}


async def test_every_route_holds_keys_to_their_scopes(server: RunningServer, admin: Client) -> None:
    keys = {scope: await with_key(admin, scope) for scope in Scope}
    seen = set()
    for rule in server.surface.url_map.iter_rules():
        if rule.endpoint in server.surface.public or rule.websocket:
            continue
        path = rule.rule
        for argument in rule.arguments:
            path = path.replace(f"<id:{argument}>", str(uuid.uuid4()))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            needs = _needs(server.surface, rule.endpoint, method)
            seen.add(needs)
            for scope, script in keys.items():
                if method == "GET" and scope in GRANTS[needs]:
                    continue  # some of these never end
                answer = await script.request(method, path, body=None if method == "GET" else {})
                refused = answer.status == 403 and ("scope" in answer.json["detail"] or "key" in answer.json["detail"])
                assert refused is (scope not in GRANTS[needs]), (method, path, scope, answer.status)
    assert seen == set(GRANTS)


def _needs(surface: Quart, endpoint: str, method: str) -> str:
    declaration = declared(surface.view_functions[endpoint])
    assert isinstance(declaration, Operation)
    return str(declaration.needs or ("read" if method == "GET" else "write"))


@pytest.mark.parametrize(("scope", "good"), [("read", False), ("chat", True), ("write", True), ("admin", False)])
async def test_a_socket_needs_a_key_that_may_chat(admin: Client, scope: str, good: bool) -> None:
    conversation = await admin.conversation()
    script = await with_key(admin, scope)
    if good:
        async with script.chat(conversation) as chat:
            await chat.send("user_message", content="Hello?")
            assert (await chat.until("bot_message"))["status"] == "complete"
        return
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with script.chat(conversation):
            pass
    assert refused.value.response.status_code == 403


async def test_a_key_is_no_cookie(user: Client) -> None:
    script = await with_key(user, "read")
    browser = Client(user.url, user.http)
    answer = await browser.request("GET", "/api/projects", headers={"Cookie": f"eudai_session={script.token}"})
    assert answer.status == 401


def cookie_of(answer: Answer) -> dict[str, str]:
    parts = [part.strip() for part in answer.headers["Set-Cookie"].split(";")]
    return {name: value for name, _, value in (part.partition("=") for part in parts)}


async def test_the_cookie_lives_as_long_as_its_session(user: Client) -> None:
    browser, headers = Client(user.url, user.http), await with_cookie(user)
    renewed = cookie_of(await browser.request("GET", "/api/users/me", headers=headers))
    assert 29 * 86_400 < int(renewed["Max-Age"]) <= 30 * 86_400
    # A bearer token needs no cookie, and gets none.
    assert "Set-Cookie" not in (await user.request("GET", "/api/users/me", headers=headers)).headers
    await browser.request("POST", "/api/auth/logout", headers=headers)
    for value in (headers["Cookie"], f"eudai_session={renewed['eudai_session']}"):
        assert (await browser.request("GET", "/api/users/me", headers={"Cookie": value})).status == 401


async def test_a_foreign_page_changes_no_account(user: Client) -> None:
    browser, headers = Client(user.url, user.http), await with_cookie(user)
    foreign = {**headers, "Sec-Fetch-Site": "cross-site"}
    for method, path, body in (
        ("PATCH", "/api/users/me", {"email": "evil@example.org", "current_password": PASSWORD}),
        ("DELETE", "/api/users/me", {"current_password": PASSWORD}),
        ("POST", "/api/auth/keys", {"name": "x", "scopes": ["write"]}),
        ("POST", "/api/auth/logout", None),
    ):
        assert (await browser.request(method, path, body=body, headers=foreign)).status == 403
    assert (
        await browser.request("POST", "/api/auth/keys", body={"name": "x", "scopes": ["read"]}, headers=headers)
    ).status == 201


async def test_admins_only(user: Client) -> None:
    somebody = uuid.uuid4()
    for method, path in (
        ("GET", "/api/admin/users"),
        ("PATCH", f"/api/admin/users/{somebody}"),
        ("POST", f"/api/admin/users/{somebody}/reset-password"),
        ("GET", "/api/admin/invites"),
        ("POST", "/api/admin/invites"),
        ("DELETE", f"/api/admin/invites/{somebody}"),
        ("GET", "/api/admin/plugins"),
        ("GET", "/api/admin/models"),
    ):
        answer = await user.request(method, path, body={} if method in {"PATCH", "POST"} else None)
        assert (answer.status, answer.json["title"]) == (403, "Forbidden"), path


async def test_an_admin_sees_accounts_and_disables_them(server: RunningServer, user: Client, admin: Client) -> None:
    conversation = await user.conversation()
    listed = await admin.call("GET", "/api/admin/users?limit=1")
    assert [item["username"] for item in listed["items"]] == ["root"]
    (shown,) = (await admin.call("GET", f"/api/admin/users?limit=1&cursor={listed['next']}"))["items"]
    assert set(shown) == {"id", "username", "email", "is_admin", "disabled", "created_at"}
    path = f"/api/admin/users/{shown['id']}"
    script = await with_key(user, "chat")
    async with closed_with(4401, user, script, conversation=conversation):
        assert (await admin.call("PATCH", path, {"disabled": True}))["disabled"]
    for someone in (user, script):
        await someone.call("GET", "/api/projects", status=401)
    await user.call("POST", "/api/auth/login", {"username": user.name, "password": PASSWORD}, status=401)
    assert not (await admin.call("PATCH", path, {"disabled": False}))["disabled"]
    await user.log_in()
    await admin.call("GET", f"/api/conversations/{conversation}", status=404)
    await admin.call("PATCH", f"/api/admin/users/{uuid.uuid4()}", {"disabled": True}, status=404)
    await admin.call("PATCH", path, {"email": "x@example.org"}, status=400)
    me = await admin.call("GET", "/api/users/me")
    await admin.call("PATCH", f"/api/admin/users/{me['id']}", {"disabled": True}, status=409)


async def test_an_admin_makes_another_and_takes_the_role_away(user: Client, admin: Client) -> None:
    me = await user.call("GET", "/api/users/me")
    path = f"/api/admin/users/{me['id']}"
    script = await with_key(admin, Scope.ADMIN)
    assert (await script.request("PATCH", path, body={"is_admin": True})).status == 403, "a key makes no administrators"
    await admin.call("PATCH", path, {"is_admin": True})
    assert (await user.call("GET", "/api/users/me"))["is_admin"]
    await user.call("GET", "/api/admin/users")
    async with closed_with(4401, user, conversation=await user.conversation()):
        await admin.call("PATCH", path, {"is_admin": False})
    await user.call("GET", "/api/admin/users", status=403)


async def test_an_admin_resets_a_password(user: Client, admin: Client) -> None:
    conversation = await user.conversation()
    me = await user.call("GET", "/api/users/me")
    async with closed_with(4401, user, conversation=conversation):
        told = await admin.call("POST", f"/api/admin/users/{me['id']}/reset-password")
    await user.call("GET", "/api/users/me", status=401)
    await user.call("POST", "/api/auth/login", {"username": user.name, "password": told["password"]})
    own = await admin.call("GET", "/api/users/me")
    await admin.call("POST", f"/api/admin/users/{own['id']}/reset-password", status=409)


async def test_invitations(user: Client, admin: Client) -> None:
    made = await admin.call("POST", "/api/admin/invites", {"note": "Eve"}, status=201)
    assert set(made) == {"id", "note", "created_by", "created_at", "expires_at", "used_by", "used_at", "code"}
    plain = await admin.request("POST", "/api/admin/invites")
    assert plain.status == 201
    listed = (await admin.call("GET", "/api/admin/invites"))["items"]
    assert [item["id"] for item in listed] == [plain.json["id"], made["id"]]
    assert all("code" not in item for item in listed)
    await admin.call("DELETE", f"/api/admin/invites/{made['id']}", status=204)
    await admin.call("DELETE", f"/api/admin/invites/{made['id']}", status=404)
    await admin.call("POST", "/api/admin/invites", {"expires_at": "2001-01-01T00:00:00Z"}, status=400)


async def test_plugins_and_models_are_shown(admin: Client) -> None:
    plugins = (await admin.call("GET", "/api/admin/plugins"))["items"]
    assert {plugin["name"] for plugin in plugins} >= {"eudai-auth", "eudai-quart"}
    assert (await admin.call("GET", "/api/admin/models"))["items"]


async def test_too_many_wrong_passwords_are_answered_later(user: Client) -> None:
    answers = []
    for name in (user.name, "nobody-here"):
        for _ in range(5):
            await user.call("POST", "/api/auth/login", {"username": name, "password": "wrong"}, status=401)
        answers.append(await user.request("POST", "/api/auth/login", body={"username": name, "password": "wrong"}))
    for answer in answers:
        assert (answer.status, answer.json["title"]) == (429, "Too many requests")
        assert int(answer.headers["Retry-After"]) == 1
        assert answer.json["detail"] == answers[0].json["detail"]
