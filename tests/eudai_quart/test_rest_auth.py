"""Accounts over REST."""

from __future__ import annotations

from pathlib import Path

from support.client import Client, client
from support.server import RunningServer, running_server


async def test_sign_up_answers_the_user(server: RunningServer) -> None:
    async with client(server.url, signed_up=False) as nobody:
        account = {"username": "ada", "email": "ada@example.org", "password": "correct horse"}
        user = await nobody.call("POST", "/api/auth/signup", account, status=201)
    assert set(user) == {"id", "username", "email", "is_admin", "created_at"}
    assert (user["username"], user["email"], user["is_admin"]) == ("ada", "ada@example.org", False)
    assert user["created_at"].endswith("Z")


async def test_log_in_by_name_or_email_gives_tokens(user: Client) -> None:
    by_email = {"username": f"{user.name}@example.org", "password": "correct horse"}
    tokens = await user.call("POST", "/api/auth/login", by_email)
    assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token", "user"}
    assert tokens["token_type"] == "bearer"
    assert (await user.call("GET", "/api/users/me"))["username"] == user.name


async def test_a_wrong_password_and_an_unknown_user_look_the_same(user: Client) -> None:
    answers = []
    for name in (user.name, "nobody-here"):
        answer = await user.request("POST", "/api/auth/login", body={"username": name, "password": "wrong horse"})
        body = answer.json
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert body.pop("request_id") == answer.headers["X-Request-Id"]
        answers.append((answer.status, body))
    assert answers[0] == answers[1]
    assert answers[0][0] == 401


async def test_a_name_that_is_taken_is_a_conflict(user: Client) -> None:
    account = {"username": user.name.upper(), "email": "other@example.org", "password": "correct horse"}
    answer = await user.request("POST", "/api/auth/signup", body=account)
    assert (answer.status, answer.json["title"]) == (409, "Conflict")


async def test_refresh_tokens_are_spent_once_and_reuse_ends_the_session(user: Client) -> None:
    body = {"refresh_token": user.tokens["refresh_token"]}
    renewed = await user.call("POST", "/api/auth/refresh", body)
    user.token = renewed["access_token"]
    await user.call("GET", "/api/users/me")
    await user.call("POST", "/api/auth/refresh", body, status=401)
    await user.call("GET", "/api/users/me", status=401)


async def test_log_out_ends_the_token_at_once(user: Client) -> None:
    await user.call("POST", "/api/auth/logout", status=204)
    await user.call("GET", "/api/users/me", status=401)


async def test_the_cookie_comes_when_asked_for_and_goes_with_log_out(user: Client) -> None:
    body = {"username": user.name, "password": "correct horse", "cookie": True}
    given = (await user.request("POST", "/api/auth/login", body=body)).headers["Set-Cookie"]
    assert given.startswith("eudai_session=")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in given.split(";")}
    taken = (await user.request("POST", "/api/auth/logout")).headers["Set-Cookie"]
    assert taken.startswith("eudai_session=;")
    assert "Max-Age=0" in taken


async def test_signing_up_can_be_closed(tmp_path: Path) -> None:
    settings = {"EUDAI_DATA_DIR": str(tmp_path), "EUDAI_SIGNUP": "closed", "EUDAI_OLLAMA_HOST": "127.0.0.1:1"}
    async with running_server(settings) as server, client(server.url, signed_up=False) as nobody:
        account = {"username": "ada", "email": "ada@example.org", "password": "correct horse"}
        answer = await nobody.request("POST", "/api/auth/signup", body=account)
    assert (answer.status, answer.json["title"]) == (403, "Forbidden")
