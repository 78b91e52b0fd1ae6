"""`eudai serve` that is started before its database: it stays up, says so, and comes alive when the database does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from eudai_core.testing.scripted_ollama import Reply, ScriptedOllama
from support.client import Client, client
from support.eventually import eventually
from support.postgres import PostgresServer, migrate
from support.server import server_process


async def health(nobody: Client) -> tuple[int, dict[str, Any]]:
    answer = await nobody.request("GET", "/api/health")
    return answer.status, answer.json


def is_serving(nobody: Client) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return (await health(nobody))[0] == 200

    return look


async def upgrade(url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import sys; from eudai_core.cli import main; sys.exit(main())", "db", "upgrade"),
        env={"EUDAI_DATABASE_URL": url, "PATH": "", "HOME": "/nonexistent"},
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await asyncio.wait_for(process.wait(), 60) == 0


@pytest.mark.parametrize("tables", ["there", "missing"])
async def test_it_stays_up_says_so_and_comes_alive(
    tmp_path: Path, private_postgres_server: PostgresServer, ollama: ScriptedOllama, tables: str
) -> None:
    database = private_postgres_server
    if tables == "there":
        await migrate(database.admin_url)
    await asyncio.to_thread(database.stop)
    ollama.script(Reply.of("Hello", " you."))
    environ = {"EUDAI_DATABASE_URL": database.admin_url, "OLLAMA_HOST": ollama.url}
    async with server_process(tmp_path / "data", environ=environ) as server:
        async with client(server.url, signed_up=False) as nobody:
            status, body = await health(nobody)
            assert (status, body["status"], body["checks"]["storage"]) == (503, "down", {"status": "down"})
            assert (await nobody.request("GET", "/api/health/live")).status == 200
            refused = await nobody.request("POST", "/api/auth/login", body={"username": "ada", "password": "x" * 12})
            assert (refused.status, refused.json["title"]) == (503, "Storage error")

            await asyncio.to_thread(database.start)
            if tables == "missing":
                assert (await health(nobody))[0] == 503
                refused = await nobody.request("POST", "/api/auth/login", body={"username": "a", "password": "x" * 12})
                assert "eudai db upgrade" in refused.json["detail"]
                await upgrade(database.admin_url)
            await eventually(is_serving(nobody))

        async with client(server.url) as user:
            conversation = await user.conversation()
            async with user.chat(conversation) as chat:
                await chat.send("user_message", content="Are you there?")
                answer = await chat.until("bot_message")
                assert (answer["status"], answer["content"]) == ("complete", "Hello you.")
        server.process.terminate()
        assert await server.wait() == 0
        log = await server.errors()
        assert "Traceback" not in log
        assert log.count("cannot be used: the database does not answer") <= 2  # the storage, and the event bus
