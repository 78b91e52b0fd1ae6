"""Bodies: what is unread is bounded, what does not come is not waited for."""

from __future__ import annotations

import asyncio

import pytest
from quart import Quart, request
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from eudai_quart import body as body_module
from eudai_quart.body import HIGH, Body, Request
from eudai_quart.server.peer import PEER
from support.client import Client
from support.server import serving


class Peer:
    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def abort(self) -> None:
        raise AssertionError("nobody asked for this")

    ping = abort

    def silent_for(self) -> float:
        return 0.0


async def test_a_peer_that_sends_faster_than_we_read_has_to_wait() -> None:
    peer = Peer()
    token = PEER.set(peer)
    try:
        body = Body(None, None)
    finally:
        PEER.reset(token)
    body.limit = 10 * HIGH
    body.append(b"x" * HIGH)
    assert not peer.paused
    body.append(b"x")
    assert peer.paused
    assert len(await anext(body)) == HIGH + 1
    assert not peer.paused


async def test_the_declared_length_is_enough_to_refuse() -> None:
    with pytest.raises(RequestEntityTooLarge):
        await Body(body_module.JSON_LIMIT + 1, None)


async def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "SILENCE_S", 0.01)
    body = Body(None, None)
    body.append(b"a")
    assert await anext(body) == b"a"
    with pytest.raises(RequestTimeout):
        await anext(body)


async def test_a_slow_upload_is_answered_408(user: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "SILENCE_S", 0.05)
    host, port = user.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/projects HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {user.token}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_a_large_upload_goes_through_while_its_reader_is_slow() -> None:
    app = Quart(__name__)
    app.request_class = Request
    most = 0

    @app.post("/")
    async def slow() -> str:
        nonlocal most
        received = 0
        request.body.limit = 64 * 1024 * 1024  # type: ignore[attr-defined]  # our Body
        async for piece in request.body:
            most = max(most, len(piece))
            received += len(piece)
            await asyncio.to_thread(sum, piece[:1000])  # what a disk would take
        return str(received)

    size = 20_000_000
    async with serving(app) as running:
        host, port = running.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        writer.write(b"x" * size)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    assert answer.endswith(str(size).encode())
    assert most < HIGH + 512 * 1024
