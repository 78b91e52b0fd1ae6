"""What the connection layer refuses by itself, against raw sockets: always a problem, always the end."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, request, websocket

from eudai_quart import body as bodies
from eudai_quart.body import Request
from eudai_quart.server import connection, runner
from support.server import serving

HANDSHAKE = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


def held() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Socket:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, url: str) -> Socket:
        host, port = url.removeprefix("http://").split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def rest(self) -> bytes:
        """Return everything until the server closes."""
        try:
            return await asyncio.wait_for(self.reader.read(), 20)
        except ConnectionResetError:
            return b""
        finally:
            self.writer.close()
            await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


async def exchange(url: str, sent: bytes) -> bytes:
    socket = await Socket.open(url)
    socket.writer.write(sent)
    return await socket.rest()


def split(answer: bytes) -> tuple[int, dict[str, str], Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


def app() -> Quart:
    made = Quart(__name__)
    made.request_class = Request
    made.config.update(BODY_TIMEOUT=None)

    @made.get("/")
    async def index() -> str:
        return f"{request.host} {request.query_string.decode()}"

    @made.post("/")
    async def whole() -> str:
        return str(len(await request.get_data()))

    @made.websocket("/ws")
    async def echo() -> None:
        while True:
            await websocket.send(await websocket.receive())

    return made


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\x00\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET ?x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 1e3\r\n\r\n", 400),
        (POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n", 400),
        (HANDSHAKE + KEY + b"Sec-WebSocket-Version: 8\r\n\r\n", 426),
        (HANDSHAKE + VERSION + b"\r\n", 400),
        (HANDSHAKE + KEY + b"\r\n", 400),
        (HANDSHAKE + KEY + VERSION + b"\r\n" + b"\x81\x85aaaahello", 400),
    ],
)
async def test_it_is_a_problem_and_the_connection_ends(sent: bytes, status: int) -> None:
    async with serving(app()) as server:
        answer = await exchange(server.url, sent)
    found, headers, body = split(answer)
    problem = json.loads(body)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert (found, problem["status"]) == (status, status)
    assert headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == headers["x-request-id"]
    assert int(headers["content-length"]) == len(body)
    assert headers["connection"] == "close"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    if status == 426:
        assert headers["sec-websocket-version"] == "13"


async def test_the_host_of_a_whole_url_counts() -> None:
    sent = b"GET http://chat.example:81/?a=b HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n"
    async with serving(app()) as server:
        assert split(await exchange(server.url, sent))[2] == b"chat.example:81 a=b"


async def test_an_answer_that_failed_is_a_problem_too() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        raise RuntimeError("not the client's business")

    async with serving(broken) as server:
        for sent in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", HANDSHAKE + KEY + VERSION + b"\r\n"):
            status, headers, body = split(await exchange(server.url, sent))
            assert (status, headers["content-type"]) == (500, "application/problem+json")
            assert b"business" not in body


async def test_a_second_head_that_drips_in_is_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "IDLE_S", 0.2)
    async with serving(app()) as server:
        socket = await Socket.open(server.url)
        socket.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await socket.reader.readline()).startswith(b"HTTP/1.1 200")

        await socket.reader.readuntil(b"\r\n\r\nx ")
        socket.writer.write(b"GET / HTTP/1.1\r\nX: y\r\nX-Slow: ")
        assert await socket.rest() == b""


async def test_a_body_that_drips_in_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.2)
    monkeypatch.setattr(bodies, "LEAST_RATE", 1e9)
    made = app()
    answered: list[type[BaseException]] = []

    @made.errorhandler(408)
    async def late(error: Exception) -> tuple[str, int]:
        answered.append(type(error))
        return "too slow", 408

    async with serving(made) as server:
        socket = await Socket.open(server.url)
        socket.writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")

        async def drip() -> None:
            while True:
                socket.writer.write(b"1\r\nx\r\n")
                await asyncio.sleep(0)

        dripping = asyncio.create_task(drip())
        status, _, body = split(await socket.rest())
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
    assert (status, body) == (408, b"too slow")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("fragmented", [False, True])
async def test_a_message_over_the_limit_is_not_held(fragmented: bool) -> None:
    """100 MB in one frame, or in many: what is over the limit is thrown away as it comes."""
    mask = b"\0\0\0\0"
    async with serving(app()) as server:
        socket = await Socket.open(server.url)
        socket.writer.write(HANDSHAKE + KEY + VERSION + b"\r\n")
        await socket.reader.readuntil(b"\r\n\r\n")
        before = most = held()
        piece = b"x" * 65_536
        if not fragmented:
            socket.writer.write(b"\x81\xff" + (100 * 1024 * 1024).to_bytes(8, "big") + mask)
        try:
            for number in range(1600):
                if fragmented:
                    head = b"\x01" if number == 0 else b"\x00"
                    socket.writer.write(head + b"\xff" + len(piece).to_bytes(8, "big") + mask)
                socket.writer.write(piece)
                await socket.writer.drain()
                most = max(most, held())
        except ConnectionError:
            pass  # the server has had enough, as it should
        closing = await socket.rest()
    assert closing[:4] in {b"\x88\x02" + (1009).to_bytes(2, "big"), b""}
    assert most - before < 40 * 1024 * 1024


@pytest.mark.parametrize("path", [b"/", b"/nothing"])
async def test_a_connection_ends_with_its_peer(path: bytes) -> None:
    """Not when the time for an idle one is up: by then a busy server would have no descriptors left."""
    async with serving(app()) as server:
        socket = await Socket.open(server.url)
        socket.writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        await socket.reader.readuntil(b"\r\n\r\n")
        socket.writer.write_eof()
        await socket.rest()


async def test_a_refused_socket_does_not_keep_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LINGER_S", 0.1)
    async with serving(app()) as server:
        for path in (b"/nothing", b"/ws"):
            sent = HANDSHAKE.replace(b"/ws", path) + VERSION + (KEY if path != b"/ws" else b"") + b"\r\n"
            answer = await exchange(server.url, sent)
            assert split(answer)[0] in {400, 404}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_refusal_of_head_has_no_body(method: str) -> None:
    sent = f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    async with serving(app()) as server:
        status, headers, body = split(await exchange(server.url, sent))
    assert status == 400
    assert int(headers["content-length"]) > 0
    assert (body == b"") == (method == "HEAD")
