"""`eudai serve` as a process: what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from eudai_core.testing.scripted_ollama import Gate, Piece, Reply, ScriptedModel, ScriptedOllama
from support.client import client
from support.server import ServerProcess, server_process

NOBODY = {"EUDAI_OLLAMA_HOST": "127.0.0.1:1"}
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


async def open_raw(server: ServerProcess, path: str, token: str, head: bytes = b"") -> asyncio.StreamWriter:
    """Send a request and never read."""
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: [::1]\r\nAuthorization: Bearer {token}\r\n".encode() + head + b"\r\n")
    await writer.drain()
    return writer


async def test_three_lines_and_a_clean_end(tmp_path: Path) -> None:
    async with server_process(tmp_path / "data", environ=NOBODY) as server:
        assert await server.line() == f"Data: {tmp_path / 'data'}"
        model = await server.line()
        assert model.startswith("Model: extractive, ")
        assert "ollama pull deepseek-r1" in model
        async with client(server.url, signed_up=False) as nobody:
            health = await nobody.call("GET", "/api/health")
            assert set(health) == {"status", "version", "checks"}
            assert health["checks"]["storage"] == {"status": "ok"}
            assert health["status"] == "degraded"
            assert await nobody.call("GET", "/api/health/live") == {"status": "ok"}
        server.signal(signal.SIGINT)
        assert await server.wait() == 0
        assert "Traceback" not in await server.errors()


async def test_a_taken_port_is_told_with_a_free_one(tmp_path: Path) -> None:
    async with server_process(tmp_path / "one", environ=NOBODY) as server:
        port = server.url.rpartition(":")[2]
        second = await asyncio.create_subprocess_exec(
            *server.command[:-4],
            *("--port", port, "--data-dir", str(tmp_path / "two")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(second.communicate(), 30)
        assert second.returncode == 1
        assert out == b""
        assert f"Port {port} on 127.0.0.1 is in use. Port ".encode() in errors
        assert b"Traceback" not in errors


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_sigterm_with_all_kinds_of_peers(tmp_path: Path, loop: str) -> None:
    model = ScriptedModel("llama3.2:latest", capabilities=("completion",))
    without = ["uvloop"] if loop == "asyncio" else []
    async with ScriptedOllama([model]) as ollama:
        ollama.script(Reply(steps=[Piece("Begun "), Gate("never")]))
        environ = {"EUDAI_OLLAMA_HOST": ollama.url, "EUDAI_DRAIN_GRACE_S": "0.5"}
        process = server_process(tmp_path / "data", environ=environ, without=without)
        async with process as server, client(server.url) as user:
            conversation = await user.conversation()
            deaf_socket = await open_raw(server, f"/ws/conversations/{conversation}", user.token, UPGRADE)
            deaf_stream = await open_raw(server, f"/api/conversations/{conversation}/events", user.token)
            idle = await open_raw(server, "/api/health/live", user.token)
            async with user.chat(conversation) as chat:
                await chat.send("user_message", content="Go on")
                await chat.until("delta")
                server.signal(signal.SIGTERM)
                assert await chat.closed() == 1012
            assert await server.wait() == 0
            assert "Traceback" not in await server.errors()
            for writer in (deaf_socket, deaf_stream, idle):
                writer.close()
                await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        process = server_process(tmp_path / "data", environ=environ)
        async with process as server, client(server.url, signed_up=False) as again:
            again.name = user.name
            await again.log_in()
            messages = (await again.call("GET", f"/api/conversations/{conversation}"))["messages"]["items"]
    assert (messages[-1]["text"], messages[-1]["status"]) == ("Begun ", "interrupted")


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    model = ScriptedModel("llama3.2:latest", capabilities=("completion",))
    async with ScriptedOllama([model]) as ollama:
        ollama.script(Reply(steps=[Piece("Begun "), Gate("never")]))
        environ = {"EUDAI_OLLAMA_HOST": ollama.url, "EUDAI_DRAIN_GRACE_S": "600"}
        async with server_process(tmp_path / "data", environ=environ) as server, client(server.url) as user:
            async with user.chat(await user.conversation()) as chat:
                await chat.send("user_message", content="Go on")
                await chat.until("delta")
                server.signal(signal.SIGTERM)
                assert await chat.closed() == 1012
            health = await user.request("GET", "/api/health")
            assert (health.status, health.json["status"]) == (503, "draining")
            server.signal(signal.SIGTERM)
            assert await server.wait() == 128 + signal.SIGTERM
