"""`eudai serve --server uvicorn`: the same application, without the care of our own connection layer."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import websockets

from eudai_core.testing.scripted_ollama import Gate, Piece, Reply, ScriptedModel, ScriptedOllama
from support.client import Client, client
from support.server import ServerProcess, server_process


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama([ScriptedModel("llama3.2:latest", capabilities=("completion",))]) as ollama:
        yield ollama


@pytest.fixture
async def process(tmp_path: Path, scripted: ScriptedOllama) -> AsyncIterator[ServerProcess]:
    environ = {"EUDAI_OLLAMA_HOST": scripted.url, "EUDAI_DRAIN_GRACE_S": "0.5"}
    async with server_process(tmp_path / "data", environ=environ, arguments=["--server", "uvicorn"]) as server:
        yield server


@pytest.fixture
async def visitor(process: ServerProcess) -> AsyncIterator[Client]:
    async with client(process.url) as signed_up:
        yield signed_up


async def test_rest_and_errors_are_the_same(visitor: Client) -> None:
    project = await visitor.project()
    uploaded = await visitor.upload(project, ("a.txt", b"some text " * 50_000))
    assert uploaded.status == 201
    file = uploaded.json["items"][0]["id"]
    whole = await visitor.request("GET", f"/api/download/files/{file}")
    assert whole.body == b"some text " * 50_000
    for path, status in (("/api/projects/x", 400), ("/api/nothing", 404)):
        answer = await visitor.request("GET", path)
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in answer.headers
    deleted = await visitor.request("DELETE", f"/api/projects/{project}")
    assert (deleted.status, "Content-Length" in deleted.headers) == (204, False)


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_are_bounded_however_they_are_sent(visitor: Client, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(32):
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    if not chunked:
        headers["Content-Length"] = str(32 * 65_536)
    try:
        answer = await visitor.request("POST", "/api/projects", data=pieces(), headers=headers)
    except aiohttp.ClientConnectionError:
        assert not chunked  # uvicorn closes what it has answered before the body was there
        return
    assert (answer.status, answer.json["title"]) == (413, "Content too large")


async def test_a_chat_over_a_websocket(process: ServerProcess, visitor: Client, scripted: ScriptedOllama) -> None:
    scripted.script(Reply(steps=[Piece("Hello"), Piece(" there")]))
    conversation = await visitor.conversation()
    async with visitor.chat(conversation) as chat:
        await chat.send("user_message", content="Hi")
        answer = await chat.until("bot_message")
        assert (answer["content"], answer["status"]) == ("Hello there", "complete")
        assert chat.text(answer["message_id"]) == "Hello there"
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with visitor.chat(conversation, additional_headers={}):
            pass
    assert refused.value.response.status_code == 401
    assert b"Unauthorized" in refused.value.response.body
    del process


async def test_a_message_over_the_limit_is_closed_with_1009(visitor: Client) -> None:
    async with visitor.chat(await visitor.conversation()) as chat:
        await chat.socket.send("x" * 2_000_000)
        assert await chat.closed() == 1009


async def test_it_drains_and_ends(process: ServerProcess, visitor: Client, scripted: ScriptedOllama) -> None:
    scripted.script(Reply(steps=[Piece("Begun "), Gate("never")]))
    async with visitor.chat(await visitor.conversation()) as chat:
        await chat.send("user_message", content="Go on")
        await chat.until("delta")
        process.signal(signal.SIGTERM)
        assert await chat.closed() == 1012
    assert await process.wait() == 0
    assert "Traceback" not in await process.errors()


async def test_events_stream_over_http(visitor: Client) -> None:
    headers = {"Authorization": f"Bearer {visitor.token}"}
    async with visitor.http.get(f"{visitor.url}/api/events", headers=headers) as answer:
        assert await asyncio.wait_for(answer.content.readline(), 20) == b":\n"
        project = await visitor.project()
        told = b""
        while project.encode() not in told:
            told = await asyncio.wait_for(answer.content.readline(), 20)
