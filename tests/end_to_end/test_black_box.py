"""A server process as strangers meet it: two users, everything that is wrong at once, and the whole log read after."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from eudai_core.ids import new_id
from support.client import Client, client
from support.conformance import bare_surface
from support.server import ServerProcess, server_process
from support.surface_walk import Step, furnish, observed, send, steps

HEALTH_S = 2.0
ENVIRON = {"EUDAI_OLLAMA_HOST": "127.0.0.1:1", "EUDAI_LOG_LEVEL": "debug", "EUDAI_MAX_UPLOAD_MB": "2"}
HOSTILE_NAMES = [
    "",
    " ",
    ".",
    "..",
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "/etc/shadow",
    "C:\\x",
    "a\x00b",
    "a\r\nX-Evil: 1",
    'a"; filename="b',
    "CON",
    "a" * 5000,
    "\u202egnp.exe",
    "\ud7ff\ue000\ufffd",
    "é" * 300,
    "<script>alert(1)</script>",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "'; DROP TABLE users;--",
    "%00%2e%2e%2f",
    "\U0001f331",
]
BROKEN_JSON = [
    b"",
    b" ",
    b"{",
    b"}",
    b"[",
    b"[]",
    b"null",
    b"true",
    b"0",
    b'"text"',
    b"nonsense",
    b"{}",
    b'{"name"}',
    b'{"name": }',
    b'{"name": "x",}',
    b"{'name': 'x'}",
    b'{"name": "x"} {}',
    b'{"name": "x", "name": "y"}',
    b'{"name": "x", "more": 1}',
    b'{"name": 1}',
    b'{"name": null}',
    b'{"name": ["x"]}',
    b'{"name": {"a": 1}}',
    b'{"name": "\xff\xfe"}',
    b'{"name": "\xed\xa0\x80"}',
    b'{"name": "\\ud800"}',
    b'{"name": "\\u0000"}',
    b'{"name": "x\ny"}',
    b'{"name": NaN}',
    b'{"name": 1e400}',
    b'{"name": ' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b'{"name":' * 50_000,
    b"\xef\xbb\xbf{}",
    '{"name": "x"}'.encode("utf-16"),
    b'{"name": "' + b"x" * 300_000 + b'"}',
]
PART = b'Content-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nx\r\n'
BROKEN_MULTIPART = [
    b"",
    b"--b",
    b"--b--\r\n",
    b"--b\r\n",
    b"--b\r\n" + PART,
    b"--other\r\n" + PART + b"--other--\r\n",
    b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    b"--b\r\nContent-Disposition: nonsense\r\n\r\nx\r\n--b--\r\n",
    b"--b\r\n\r\nx\r\n--b--\r\n",
    b"--b\r\n: \r\n\r\nx\r\n--b--\r\n",
    b"--b\r\n" + b"X: " + b"y" * 400_000 + b"\r\n\r\nx\r\n--b--\r\n",
    b"--b\r\n" + PART * 3,
    (b"--b\r\n" + PART) * 1500 + b"--b--\r\n",
    b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n\r\n--b--\r\n',
    b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename*=utf-8''%ff%fe\r\n\r\nx\r\n--b--\r\n",
    b"--b\r\nContent-Type: text/plain; charset=utf-7\r\n" + PART + b"--b--\r\n",
    b"\x00" * 1000,
]
FRAMES = [
    b"\x81\x05hello",
    b"\xff\x85aaaa",
    b"\x83\x80aaaa",
    b"\x81\x84aaaa" + bytes(byte ^ 0x61 for byte in b"\xff\xfe\xfd\xfc"),
    b"\x80\x80aaaa",
    b"\x89\xfe\x00\x7eaaaa" + b"x" * 126,
    b"\x09\x80aaaa",
    b"\x88\x81aaaax",
    b"\x88\x82aaaa" + bytes(byte ^ 0x61 for byte in (5).to_bytes(2, "big")),
    b"\x81\xff" + b"\xff" * 8 + b"aaaa",
    b"\x81\xff" + (8 * 1024 * 1024).to_bytes(8, "big") + b"aaaa" + b"x" * 2_000_000,
]
MESSAGES: list[str | bytes] = [
    "",
    "{}",
    "[]",
    "null",
    "{" * 10_000,
    '{"type": null}',
    '{"type": "nonsense"}',
    '{"type": "user_message"}',
    '{"type": "user_message", "content": ""}',
    '{"type": "user_message", "content": "\\u0000"}',
    '{"type": "user_message", "content": "x", "options": {"seed": 1e999}}',
    '{"type": "resume", "after": -1}',
    '{"type": "resume", "after": 99999999999999999999}',
    '{"type": "resume", "after": 9007199254740993}',
    '{"type": "regenerate", "message_id": "nonsense"}',
    b"\x00\xff",
]
OLD_ORIGINS = ["null", "https://evil.example", "http://127.0.0.1", "http://[", "file://", "https://localhost"]


@dataclass
class Run:
    """A run against one process, and everything that went wrong."""

    server: ServerProcess
    secrets: set[str] = field(default_factory=set)
    log: bytearray = field(default_factory=bytearray)
    slowest: float = 0.0
    asked: int = 0
    bad: list[str] = field(default_factory=list)

    def note(self, what: str, status: int, body: bytes, foreign: Iterable[str] = ()) -> None:
        """Take note of an answer."""
        self.asked += 1
        if status >= 500:
            self.bad.append(f"{what}: {status} {body[:300]!r}")
        for text in ("Traceback", "sqlalchemy", "asyncpg", "/site-packages/", "SELECT ", *foreign):
            if text.encode() in body:
                self.bad.append(f"{what}: tells {text!r}")


async def _read_log(run: Run) -> None:
    assert run.server.process.stderr is not None
    while piece := await run.server.process.stderr.read(65536):
        run.log += piece


async def _ask_health(run: Run) -> None:
    async with aiohttp.ClientSession() as http:
        while True:
            since = time.monotonic()
            async with http.get(f"{run.server.url}/api/health") as answer:
                body = await answer.read()
            run.slowest = max(run.slowest, time.monotonic() - since)
            run.note("health", answer.status, body)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(tmp_path: Path, database: Mapping[str, str]) -> AsyncIterator[Run]:
    async with server_process(tmp_path / "data", environ={**ENVIRON, **database}) as server:
        run = Run(server)
        reading, asking = asyncio.create_task(_read_log(run)), asyncio.create_task(_ask_health(run))
        try:
            yield run
            assert not asking.done(), asking.exception()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            if server.process.returncode is None:
                server.signal(signal.SIGTERM)
            code = await server.wait()
            await reading
        assert code == 0


def forged(token: str) -> list[str]:
    """Return tokens that are almost good."""
    head, payload, signature = token.split(".")
    claims = json.loads(_decoded(payload))
    none = _encoded(b'{"alg":"none","typ":"JWT"}')
    made = []
    for changed in (claims, {**claims, "exp": claims["exp"] - 10**6}, {**claims, "sub": str(new_id())}):
        body = _encoded(json.dumps(changed).encode())
        made += [f"{none}.{body}.", f"{head}.{body}.{signature if changed is not claims else 'AAAA'}"]
        for key in ("", "secret", "change-me-to-at-least-32-random-bytes"):
            mac = hmac.new(key.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
            made.append(f"{head}.{body}.{_encoded(mac)}")
    odd = ["a.b.c", "..", "eud_" + "0" * 32 + "_x", "eud_x", "x" * 9000, head, f"{token}x"]
    return made + odd


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def every_verb_on_every_path(run: Run, user: Client, own: Mapping[str, str], foreign: Iterable[str]) -> None:
    everything = sorted({step.rule: step for step in steps(bare_surface()) if step.method}.values(), key=str)
    skipped = {"users.delete", "auth.logout"}
    known = {(step.rule, step.method): step for step in steps(bare_surface()) if step.method}
    for step in everything:
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
            found = known.get((step.rule, method), Step("", step.rule, method))
            if found.endpoint in skipped or (method == "GET" and found.endpoint.endswith((".events", ".stream"))):
                continue
            if method == "DELETE" and found.endpoint:
                continue  # the objects are needed; deleting is for the end
            answer = await send(user, found, own)
            run.note(f"{method} {step.rule}", answer.status, answer.body, foreign)


async def broken_bodies(run: Run, user: Client, own: Mapping[str, str]) -> None:
    base = f"/api/projects/{own['project_id']}"
    targets = ["/api/projects", f"/api/conversations/{own['conversation_id']}/messages", "/api/auth/signup"]
    for path in targets:
        for body in BROKEN_JSON:
            answer = await user.request("POST", path, data=body, headers={"Content-Type": "application/json"})
            run.note(f"POST {path} {body[:40]!r}", answer.status, answer.body)
            if answer.status not in {400, 413}:
                run.bad.append(f"POST {path} {body[:40]!r}: {answer.status}")
    for body in BROKEN_MULTIPART:
        for boundary in ("b", '"b', "", "x" * 300):
            headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
            answer = await user.request("POST", f"{base}/files", data=body, headers=headers)
            run.note(f"upload {body[:40]!r}", answer.status, answer.body)
    for name in HOSTILE_NAMES:
        with contextlib.suppress(UnicodeError, ValueError):  # what the client itself cannot send
            answer = await user.upload(own["project_id"], (name, b"text " + name.encode()))
            run.note(f"upload as {name[:40]!r}", answer.status, answer.body)
        for path, fields in (
            ("/api/projects", {"name": name, "description": name}),
            (f"{base}/instructions", {"instruction_text": name}),
            (f"{base}/conversations", {"title": name, "model": name}),
            (f"{base}/urls", {"url": f"http://127.0.0.1:1/{name}"}),
            ("/api/auth/signup", {"username": name, "email": f"{name}@example.org", "password": "correct horse"}),
            ("/api/auth/login", {"username": name, "password": name}),
        ):
            answer = await user.request("POST", path, body=fields)
            run.note(f"POST {path} with {name[:40]!r}", answer.status, answer.body)


async def wrong_credentials(run: Run, server: ServerProcess, user: Client, own: Mapping[str, str]) -> None:
    run.secrets |= {token for token in forged(user.token) if len(token) > 30}
    async with client(server.url, signed_up=False) as nobody:
        for token in forged(user.token):
            headers = {"Authorization": f"Bearer {token}"}
            answer = await nobody.request("GET", "/api/projects", headers=headers)
            run.note("forged", answer.status, answer.body)
            cookie = await nobody.request("GET", "/api/projects", headers={"Cookie": f"eudai_session={token}"})
            for found in (answer, cookie):
                if found.status != 401:
                    run.bad.append(f"{token[:60]}: {found.status}")
        for origin in OLD_ORIGINS:
            headers = {"Cookie": f"eudai_session={user.token}", "Origin": origin}
            answer = await nobody.request("POST", "/api/projects", body={"name": "csrf"}, headers=headers)
            run.note("foreign origin", answer.status, answer.body)
            if answer.status != 403:
                run.bad.append(f"{origin}: {answer.status}")
            for path in (f"/ws/conversations/{own['conversation_id']}", "/ws/events"):
                with contextlib.suppress(WebSocketException):
                    async with connect(f"{server.ws_url}{path}", additional_headers=headers, proxy=None):
                        run.bad.append(f"{origin}: opened {path}")


async def broken_frames(run: Run, user: Client, own: Mapping[str, str]) -> None:
    host, port = run.server.url.removeprefix("http://").split(":")
    for path in (f"/ws/conversations/{own['conversation_id']}", "/ws/events"):
        for frame in FRAMES:
            reader, writer = await asyncio.open_connection(host, int(port))
            key = base64.b64encode(os.urandom(16)).decode()
            head = (
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {user.token}\r\n\r\n"
            )
            writer.write(head.encode())
            opened = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert opened.startswith(b"HTTP/1.1 101"), opened
            with contextlib.suppress(ConnectionError):
                writer.write(frame)
                writer.write_eof()
                await asyncio.wait_for(reader.read(), 10)
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            run.asked += 1
        headers = {"Authorization": f"Bearer {user.token}"}
        async with connect(f"{run.server.ws_url}{path}", additional_headers=headers, proxy=None) as socket:
            for message in [*MESSAGES, '{"type": "ping"}']:
                await socket.send(message)
                run.asked += 1
            while (told := json.loads(await asyncio.wait_for(socket.recv(), 10)))["type"] != "pong":
                if told["type"] == "error" and told["status"] >= 500:
                    run.bad.append(f"{path}: {told!r}")


async def wild_requests(run: Run) -> None:
    """Bytes that are no request, many at once, and connections that say nothing."""
    host, port = run.server.url.removeprefix("http://").split(":")

    async def one(sent: bytes) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            writer.write(sent)
            answer = await asyncio.wait_for(reader.read(), 15)
            if answer:
                status = int(answer.split(b" ", 2)[1])
                run.note(f"{sent[:60]!r}", 0 if status == 501 else status, answer)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    paths = [b"/api/../api/projects", b"/%2e%2e/", b"//api/projects", b"/api/projects/%00", b"/api/projects/%ff"]
    paths += [b"/api/projects?limit=%ff", b"/api/projects?" + b"a=1&" * 3000, b"/api/projects/" + b"x" * 9000, b"/;/"]
    sent = [b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" for path in paths]
    sent += [b"\x00" * 200, b"\x16\x03\x01" * 50, b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"]
    sent += [b"POST /api/projects HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n"]
    sent += [b"GET /api/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"]
    await asyncio.gather(*map(one, sent))


def checked(log: str, secrets: Iterable[str]) -> None:
    """The log has no secret, no query, and no traceback; every line of a request says which."""
    for secret in secrets:
        assert secret not in log, f"the log has {secret[:12]}…"
    for never in ("Traceback", "correct horse", "wrong horse", "Bearer ey", "$2b$", "?limit=", "?cursor=", "?q="):
        at = log.find(never)
        assert at < 0, log[max(0, at - 300) : at + 300]
    for line in log.splitlines():
        if " eudai_quart.problems" in line:
            assert "[request=" in line, line
    assert " user=" in log


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_strangers_break_nothing_and_learn_nothing(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    environ = {"EUDAI_DATABASE_URL": request.getfixturevalue("postgres_url")} if database == "postgres" else {}
    async with running(tmp_path, environ) as run, client(run.server.url) as first, client(run.server.url) as second:
        theirs, own = await furnish(first), await furnish(second)
        theirs["invite_id"] = own["invite_id"] = str(new_id())
        for user in (first, second):
            run.secrets |= {user.token, user.tokens["refresh_token"]}
        before = await observed(first, theirs)
        foreign = [value for name, value in theirs.items() if name != "invite_id"]
        await every_verb_on_every_path(run, second, own, foreign)
        await asyncio.gather(
            broken_bodies(run, second, own),
            wrong_credentials(run, run.server, second, own),
            broken_frames(run, second, own),
            wild_requests(run),
        )
        assert await observed(first, theirs) == before
    assert run.bad == []
    assert run.asked > 600
    assert run.slowest < HEALTH_S
    checked(run.log.decode(), run.secrets)
