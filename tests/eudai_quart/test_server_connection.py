"""The connection layer against raw sockets: what Hypercorn alone does not do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import websockets
from quart import Quart, Response, websocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from eudai_quart.server import connection
from eudai_quart.server.peer import PEER
from support.server import serving


def echo_app() -> Quart:
    app = Quart(__name__)

    @app.get("/")
    async def index() -> str:
        return "hello"

    @app.post("/early")
    async def early() -> tuple[str, int]:
        return "not read", 401

    @app.get("/endless")
    async def endless() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65536

        response = Response(pieces())
        response.timeout = None
        return response

    @app.websocket("/echo")
    async def echo() -> None:
        while True:
            await websocket.send(await websocket.receive())

    @app.websocket("/flood")
    async def flood() -> None:
        while True:
            await websocket.send("x" * 65536)

    return app


async def closing(url: str, message: str) -> int | None:
    """Send a message and return the code that the server closes with."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/echo") as socket:
        with contextlib.suppress(aiohttp.ClientConnectionError):
            await socket.send_str(message)
        await socket.receive()
        return socket.close_code


async def exchange(url: str, request: bytes) -> bytes:
    """Send raw bytes and return everything until the server closes."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_a_plain_request_is_answered_without_a_server_header() -> None:
    async with serving(echo_app()) as server:
        answer = await exchange(server.url, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"hello")
    assert b"server:" not in answer.lower()


async def test_a_request_with_two_lengths_is_refused_and_the_connection_closed() -> None:
    request = (
        b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    async with serving(echo_app()) as server:
        answer = await exchange(server.url, request)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


async def test_an_answer_given_before_the_body_was_read_reaches_the_client() -> None:
    head = b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n"
    async with serving(echo_app()) as server:
        answer = await exchange(server.url, head + b"x" * 2_000_000)
    assert answer.startswith(b"HTTP/1.1 401")
    assert answer.endswith(b"not read")


async def test_half_a_request_is_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", 0.1)
    async with serving(echo_app()) as server:
        answer = await exchange(server.url, b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert answer == b""


async def test_an_upgrade_to_http2_is_ignored() -> None:
    request = (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    )
    async with serving(echo_app()) as server:
        answer = await exchange(server.url, request)
    assert answer.startswith(b"HTTP/1.1 200")


async def test_compression_is_not_negotiated() -> None:
    async with serving(echo_app()) as server, connect(f"ws{server.url[4:]}/echo") as socket:
        assert socket.protocol.extensions == []
        await socket.send("a")
        assert await socket.recv() == "a"


async def test_a_message_over_the_limit_is_closed_with_1009_and_not_held() -> None:
    async with serving(echo_app()) as server:
        closed = await closing(server.url, "x" * 8_000_000)
        assert closed == 1009


async def test_a_message_at_the_limit_passes() -> None:
    text = "é" * (512 * 1024)
    async with (
        serving(echo_app()) as server,
        connect(f"ws{server.url[4:]}/echo", compression=None, max_size=None) as socket,
    ):
        await socket.send(text)
        assert await socket.recv() == text


async def test_the_limit_counts_bytes_not_characters() -> None:
    async with serving(echo_app()) as server:
        closed = await closing(server.url, "é" * (512 * 1024 + 1))
        assert closed == 1009


async def test_a_broken_frame_is_told_its_close_code() -> None:
    async with serving(echo_app()) as server:
        async with connect(f"ws{server.url[4:]}/echo", compression=None) as socket:
            socket.transport.write(b"\x81\x05hello")  # a client's frame without a mask (RFC 6455, section 5.1)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1002


async def _deaf(url: str, path: bytes, head: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
    await writer.drain()
    return reader, writer


UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize(("path", "head"), [(b"/endless", b""), (b"/flood", UPGRADE)])
async def test_a_peer_that_stops_reading_is_dropped(monkeypatch: pytest.MonkeyPatch, path: bytes, head: bytes) -> None:
    monkeypatch.setattr(connection, "STALLED_S", 0.2)
    ended = asyncio.Event()
    plain = echo_app()

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        try:
            await plain(scope, receive, send)
        finally:
            if scope["type"] != "lifespan":
                ended.set()

    async with serving(app) as server:
        _, writer = await _deaf(server.url, path, head)
        await asyncio.wait_for(ended.wait(), 20)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_the_application_can_ping_and_drop_its_peer() -> None:
    app = Quart(__name__)
    pinged = asyncio.Event()

    @app.websocket("/")
    async def handler() -> None:
        peer = PEER.get()
        assert peer is not None
        await websocket.accept()
        peer.ping()
        before = peer.silent_for()
        while peer.silent_for() >= before and not pinged.is_set():
            before = peer.silent_for()
            await asyncio.sleep(0)
        pinged.set()  # the pong was heard: the silence became shorter
        peer.abort()

    async with serving(app) as server, connect(f"ws{server.url[4:]}/", compression=None) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert pinged.is_set()


async def test_stopping_closes_idle_endless_and_deaf_connections() -> None:
    async with serving(echo_app()) as server:
        idle = await _deaf(server.url, b"/")
        await idle[0].readline()
        stream = await _deaf(server.url, b"/endless")
        deaf = await _deaf(server.url, b"/flood", UPGRADE)
        async with connect(f"ws{server.url[4:]}/echo", compression=None) as socket:
            await asyncio.wait_for(server.stop(), 10)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        for _, writer in (idle, stream, deaf):
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_a_refused_socket_has_a_status_and_a_body() -> None:
    app = Quart(__name__)

    @app.websocket("/")
    async def handler() -> tuple[str, int]:
        return "no", 401

    async with serving(app) as server:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(f"ws{server.url[4:]}/", compression=None)
    assert refused.value.response.status_code == 401
    assert refused.value.response.body == b"no"
