"""Two hundred new conversations at once, on either database: every one is answered."""

from __future__ import annotations

import asyncio
import logging
import statistics
import time
from pathlib import Path

import pytest

from eudai_core.testing.scripted_ollama import Piece, Reply, ScriptedOllama
from support.client import Client, client
from support.server import server_process

CHATS = 200
PIECES = [f"word{number} " for number in range(20)]
_log = logging.getLogger(__name__)


async def over_socket(user: Client, conversation: str, question: str) -> None:
    async with user.chat(conversation, open_timeout=60) as socket:
        await socket.send("user_message", content=question, client_id="first")
        while not (ended := socket.of("bot_message")):
            event = await socket.next()
            assert event["type"] != "error", event
    assert [(event["status"], event["content"]) for event in ended] == [("complete", "".join(PIECES))]


async def over_http(user: Client, conversation: str, question: str) -> None:
    body = {"content": question, "client_id": "first"}
    answer = await user.call("POST", f"/api/conversations/{conversation}/messages", body)
    assert (answer["bot_message"]["status"], answer["bot_message"]["text"]) == ("complete", "".join(PIECES))


async def new_chat(user: Client, project: str, number: int) -> float:
    """Begin a conversation, ask, and wait for the answer; return the seconds that took."""
    begun = time.perf_counter()
    conversation = await user.conversation(project)
    ask = over_http if number % 2 else over_socket
    await ask(user, conversation, f"Question {number}?")
    stored = await user.call("GET", f"/api/conversations/{conversation}")
    assert [message["text"] for message in stored["messages"]["items"]] == [f"Question {number}?", "".join(PIECES)]
    return time.perf_counter() - begun


@pytest.mark.timeout(240)
async def test_none_of_two_hundred_new_chats_fails(tmp_path: Path, database_url: str, ollama: ScriptedOllama) -> None:
    ollama.answer = lambda _model, _messages, _thinks: Reply(steps=tuple(map(Piece, PIECES)))
    environ = {
        "EUDAI_DATABASE_URL": database_url,
        "OLLAMA_HOST": ollama.url,
        "EUDAI_LOG_LEVEL": "error",
        "EUDAI_QUEUE_LIMIT": "1000",
    }
    async with server_process(tmp_path / "data", environ=environ) as server, client(server.url) as user:
        project = await user.project()
        begun = time.perf_counter()
        results = await asyncio.gather(
            *(new_chat(user, project, number) for number in range(CHATS)), return_exceptions=True
        )
        took = time.perf_counter() - begun
        failed = [result for result in results if isinstance(result, BaseException)]
        assert failed == [], f"{len(failed)} of {CHATS} failed"
        assert (await user.call("GET", f"/api/projects/{project}"))["counts"]["conversations"] == CHATS
    times = sorted(result for result in results if isinstance(result, float))
    _log.info(
        "%d new chats in %.1f s on %s: median %.1f s, last %.1f s",
        CHATS, took, database_url.partition(":")[0], statistics.median(times), times[-1],
    )  # fmt: skip
