"""`Idempotency-Key`: sent twenty times, done once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from eudai_core.errors import StorageUnavailable
from eudai_core.model import Credentials, Identity, StoredAnswer
from eudai_core.services import idempotency
from eudai_core.testing.clock import FrozenClock
from eudai_quart import body as bodies
from eudai_quart.openapi.operation import declared
from support.client import Answer, Client, client
from support.server import RunningServer

KEY = {"Idempotency-Key": "5c8c6c4e-7f0b-4f6e-9d4b-0a6f2e1d3c55"}


def told(answer: Answer) -> tuple[Any, ...]:
    """What must be the same in every answer."""
    named = {name: answer.headers.get(name) for name in ("Location", "ETag", "Content-Type")}
    return answer.status, answer.body, tuple(named.items())


async def names(user: Client) -> list[str]:
    listed = await user.call("GET", "/api/projects")
    return [project["name"] for project in listed["items"]]


def form(boundary: str, *files: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """Return an upload and its headers."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in files
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


async def identity_of(server: RunningServer, user: Client) -> Identity:
    return await server.app.accounts.authenticate(Credentials("bearer", user.token))


async def test_of_twenty_at_once_one_creates_and_all_are_answered_alike(user: Client) -> None:
    sent = [user.request("POST", "/api/projects", body={"name": "Once"}, headers=KEY) for _ in range(20)]
    answers = await asyncio.gather(*sent)
    assert {told(answer) for answer in answers} == {told(answers[0])}
    assert answers[0].status == 201
    assert answers[0].headers["Location"].startswith("/api/projects/")
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 20
    assert await names(user) == ["Once"]
    again = await user.request("POST", "/api/projects", body={"name": "Once"}, headers=KEY)
    assert told(again) == told(answers[0])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/projects", {"name": "Other"}),
        ("/api/projects?x=1", {"name": "Once"}),
        ("/api/projects/{project}/instructions", {"instruction_text": "Be brief."}),
    ],
)
async def test_another_request_under_the_key_is_a_conflict(user: Client, path: str, body: dict[str, str]) -> None:
    project = await user.project("Here")
    await user.request("POST", "/api/projects", body={"name": "Once"}, headers=KEY)
    answer = await user.request("POST", path.replace("{project}", project), body=body, headers=KEY)
    assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert "Retry-After" not in answer.headers
    assert await names(user) == ["Once", "Here"]


async def test_a_key_belongs_to_its_user(server: RunningServer, user: Client) -> None:
    await user.request("POST", "/api/projects", body={"name": "Mine"}, headers=KEY)
    async with client(server.url) as other:
        answer = await other.request("POST", "/api/projects", body={"name": "Theirs"}, headers=KEY)
        assert answer.status == 201
        assert await names(other) == ["Theirs"]


async def test_what_was_refused_gives_the_key_back(user: Client) -> None:
    refused = await user.request("POST", "/api/projects", body={"name": ""}, headers=KEY)
    assert refused.status == 400
    answer = await user.request("POST", "/api/projects", body={"name": "Good"}, headers=KEY)
    assert answer.status == 201


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 256, "tab\there"])
async def test_a_bad_key_is_invalid_data(user: Client, key: str) -> None:
    answer = await user.request("POST", "/api/projects", body={"name": "x"}, headers={"Idempotency-Key": key})
    assert (answer.status, answer.json["errors"][0]["path"]) == (400, "Idempotency-Key")
    assert await names(user) == []


async def test_every_creating_post_honours_it(server: RunningServer, user: Client) -> None:
    project = await user.project()
    base = f"/api/projects/{project}"
    creating: dict[str, Any] = {
        "/api/projects": {"name": "x"},
        f"{base}/conversations": {"title": "x"},
        f"{base}/instructions": {"instruction_text": "x"},
        f"{base}/urls": {"url": "http://127.0.0.1:1/x"},
        "/api/auth/keys": {"name": "x", "scopes": ["read"]},
    }
    for path, body in creating.items():
        first, second = [
            await user.request("POST", path, body=body, headers={"Idempotency-Key": path}) for _ in range(2)
        ]
        assert first.status == 201, (path, first.body)
        assert told(first) == told(second), path
        listed = await user.call("GET", path)
        assert len(listed["items"]) == (2 if path == "/api/projects" else 1), path
    takers = {
        rule.rule
        for rule in server.surface.url_map.iter_rules()
        if not rule.websocket
        and "Idempotency-Key" in getattr(declared(server.surface.view_functions[rule.endpoint]), "takes", ())
        and "POST" in (rule.methods or ())
    }
    assert len(takers) >= len(creating) + 2


async def test_an_upload_sent_again_with_another_boundary_is_the_same(user: Client) -> None:
    project = await user.project()
    path = f"/api/projects/{project}/files"
    answers = []
    for boundary in ("one", "two"):
        body, headers = form(boundary, ("a.txt", b"some text " * 9000), ("b.txt", b"more"))
        answers.append(await user.request("POST", path, data=body, headers={**headers, **KEY}))
    assert [answer.status for answer in answers] == [201, 201]
    assert told(answers[0]) == told(answers[1])
    for other in (
        [("a.txt", b"other text"), ("b.txt", b"more")],
        [("c.txt", b"some text " * 9000), ("b.txt", b"more")],
        [("a.txt", b"some text " * 9000)],
    ):
        body, headers = form("one", *other)
        answer = await user.request("POST", path, data=body, headers={**headers, **KEY})
        assert (answer.status, answer.json["code"]) == (409, "conflict")
    assert len((await user.call("GET", path))["items"]) == 2


async def test_a_broken_upload_gives_the_key_back(user: Client) -> None:
    path = f"/api/projects/{await user.project()}/files"
    body, headers = form("one", ("a.txt", b"some text"))
    cut = await user.request("POST", path, data=body[:-20], headers={**headers, **KEY})
    assert (cut.status, cut.json["code"]) == (400, "bad_file")
    whole = await user.request("POST", path, data=body, headers={**headers, **KEY})
    assert whole.status == 201


async def test_who_leaves_in_the_middle_finds_it_done(
    server: RunningServer, user: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    create = server.app.projects.create

    async def slow(*arguments: Any, **options: Any) -> Any:
        project = await create(*arguments, **options)
        begun.set()
        await go_on.wait()
        return project

    monkeypatch.setattr(server.app.projects, "create", slow)
    leaving = asyncio.create_task(user.request("POST", "/api/projects", body={"name": "Once"}, headers=KEY))
    await begun.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    again = asyncio.create_task(user.request("POST", "/api/projects", body={"name": "Once"}, headers=KEY))
    go_on.set()
    assert (await again).status == 201
    assert await names(user) == ["Once"]


async def test_who_waits_too_long_is_told_to_come_back(
    server: RunningServer, user: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_S", 0.05)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*_: Any, **__: Any) -> Any:
        begun.set()
        await go_on.wait()
        raise StorageUnavailable("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(server.app.projects, "create", slow)
        first = asyncio.create_task(user.request("POST", "/api/projects", body={"name": "Once"}, headers=KEY))
        await begun.wait()
        second = await user.request("POST", "/api/projects", body={"name": "Once"}, headers=KEY)
        assert second.status == 409
        assert int(second.headers["Retry-After"]) >= 1
        go_on.set()
        assert (await first).status == 503
    third = await user.request("POST", "/api/projects", body={"name": "Once"}, headers=KEY)
    assert third.status == 201


async def test_what_died_in_the_middle_is_taken_over_after_a_minute(server: RunningServer, user: Client) -> None:
    identity = await identity_of(server, user)
    name = idempotency._name(identity, KEY["Idempotency-Key"])

    async def died(seconds: float) -> None:
        begun = StoredAnswer("", server.app.clock.now() - timedelta(seconds=seconds))
        async with server.app.storage.unit_of_work() as unit:
            await unit.answers.drop(identity.user_id, name)
            assert await unit.answers.begin(identity.user_id, name, begun, stale_before=begun.begun_at) is None
            await unit.commit()

    await died(61)
    answer = await user.request("POST", "/api/projects", body={"name": "Once"}, headers=KEY)
    assert answer.status == 201


async def test_a_request_that_takes_long_is_not_taken_over(server: RunningServer, user: Client) -> None:
    identity = await identity_of(server, user)
    made = 0
    go_on = asyncio.Event()

    async def make() -> tuple[str, int, dict[str, str], bytes]:
        nonlocal made
        made += 1
        await go_on.wait()
        return "hash", 201, {}, b"made"

    clock = FrozenClock()
    first = asyncio.create_task(idempotency.Idempotency(server.app.storage, clock).once(identity, "key", "hash", make))
    for _ in range(6):  # two minutes, in which it says six times that it lives
        await clock.sleeping()
        clock.advance(20)
    await clock.sleeping()
    # Another process, which knows nothing of the first request but its row.
    other = idempotency.Idempotency(server.app.storage, clock)
    second = asyncio.create_task(other.once(identity, "key", "hash", make))
    await clock.sleeping(2)
    go_on.set()
    assert (await first).body == b"made"
    while not second.done():
        clock.advance(0.25)
        await asyncio.wait({second}, timeout=0.05)
    assert (await second).body == b"made"
    assert made == 1


async def test_the_kept_answer_cannot_be_read_without_the_key(server: RunningServer, user: Client) -> None:
    body = {"name": "script", "scopes": ["read"]}
    made = await user.request("POST", "/api/auth/keys", body=body, headers=KEY)
    secret = made.json["key"]
    identity = await identity_of(server, user)
    name = idempotency._name(identity, KEY["Idempotency-Key"])
    async with server.app.storage.unit_of_work() as unit:
        kept = await unit.answers.begin(
            identity.user_id, name, StoredAnswer("", server.app.clock.now()), stale_before=server.app.clock.now()
        )
    assert kept is not None
    assert kept.status == 201
    assert secret.encode() not in kept.body
    assert KEY["Idempotency-Key"] not in name
    script = Client(user.url, user.http, token=secret)
    asked = await script.request("POST", "/api/auth/keys", body=body, headers=KEY)
    assert asked.status == 403


async def test_old_answers_are_forgotten(server: RunningServer, user: Client) -> None:
    identity = await identity_of(server, user)
    now = server.app.clock.now()
    async with server.app.storage.unit_of_work() as unit:
        for hours in (23, 25, 26):
            answer = StoredAnswer("", now - timedelta(hours=hours))
            await unit.answers.begin(identity.user_id, str(hours), answer, stale_before=now)
        await unit.commit()
    assert await server.app.idempotency.tidy() == 2


async def test_a_client_that_drips_is_cut_off_and_the_key_is_free(
    user: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "SILENCE_S", 0.05)
    go_on = asyncio.Event()

    async def dripping() -> Any:
        yield b'{"name": '
        await go_on.wait()

    headers = {"Content-Type": "application/json", **KEY}
    cut = await user.request("POST", "/api/projects", data=dripping(), headers=headers)
    assert cut.status == 408
    go_on.set()
    answer = await user.request("POST", "/api/projects", body={"name": "Once"}, headers=KEY)
    assert answer.status == 201
