"""kill -9 in the middle of an answer: what was written is there, and the conversation goes on."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from eudai_core.model import EventRecord
from eudai_core.testing.scripted_ollama import Gate, Piece, Reply, ScriptedOllama
from eudai_sql.storage import open_storage
from support.client import Client, client
from support.eventually import eventually
from support.server import server_process

WORDS = tuple(f"word{number} " for number in range(30))
LEASE_S = "1"


async def logged_text(url: str, run_id: str) -> str | None:
    """Return the text that the event log holds, once all of it is there."""
    from uuid import UUID

    storage = open_storage(url)
    try:
        async with storage.unit_of_work(readonly=True) as unit:
            events: list[EventRecord] = list(await unit.events.of_run(UUID(run_id)))
    finally:
        await storage.aclose()
    text = "".join(event.payload["content"] for event in events if event.type == "delta")
    return text if text == "".join(WORDS) else None


async def answer_of(user: Client, conversation: str) -> dict[str, Any] | None:
    body = await user.call("GET", f"/api/conversations/{conversation}")
    answer: dict[str, Any] = body["messages"]["items"][-1]
    return answer if answer["status"] != "pending" else None


async def test_the_text_is_there_marked_interrupted_and_can_be_continued(
    tmp_path: Path, database_url: str, ollama: ScriptedOllama
) -> None:
    ollama.hold("gate")
    ollama.script(
        Reply(steps=(*(Piece(word) for word in WORDS), Gate("gate"), Piece("never sent"))), Reply.of("the", " end.")
    )
    environ = {"EUDAI_DATABASE_URL": database_url, "OLLAMA_HOST": ollama.url, "EUDAI_RUN_LEASE_S": LEASE_S}
    data = tmp_path / "data"

    async with server_process(data, environ=environ) as server, client(server.url) as user:
        conversation = await user.conversation()
        async with user.chat(conversation) as socket:
            await socket.send("user_message", content="Tell me everything.", client_id="key")
            ack = await socket.until("ack")
            while socket.text(ack["answer_id"]) != "".join(WORDS):
                await socket.next()
            seen = socket.events[-1]["seq"]
            await eventually(lambda: logged_text(database_url, ack["run_id"]))
        server.signal(signal.SIGKILL)
        assert await server.wait() == -signal.SIGKILL
        name, token = user.name, user.token

    async with server_process(data, environ=environ) as server, client(server.url, signed_up=False) as user:
        user.name, user.token = name, token
        answer = await eventually(lambda: answer_of(user, conversation))
        assert (answer["status"], answer["text"]) == ("interrupted", "".join(WORDS))

        async with user.chat(conversation, after=seen) as socket:
            ended = await socket.until("bot_message")
            assert (ended["content"], ended["status"]) == ("".join(WORDS), "interrupted")
            assert ended["seq"] > seen
            # The same command again is answered by what became of it, not by a second run.
            await socket.send("user_message", content="Tell me everything.", client_id="key")
            assert (await socket.until("ack"))["run_id"] == ack["run_id"]
            await socket.send("continue", message_id=answer["id"])
            ended = await socket.until("bot_message")
            assert (ended["status"], ended["content"]) == ("complete", "".join(WORDS) + "the end.")
        assert len(ollama.chats) == 2


@pytest.mark.parametrize("moment", ["queued", "reading"])
async def test_a_question_without_an_answer_yet_survives_too(
    tmp_path: Path, ollama: ScriptedOllama, moment: str
) -> None:
    ollama.hold("gate")
    ollama.script(Reply(steps=(Gate("gate"), Piece("never sent"))))
    data = tmp_path / "data"
    environ = {"OLLAMA_HOST": ollama.url}
    async with server_process(data, environ=environ) as server, client(server.url) as user:
        conversation = await user.conversation()
        async with user.chat(conversation) as socket:
            await socket.send("user_message", content="First?")
            await asyncio.wait_for(ollama.standing("gate"), 20)
            if moment == "queued":
                await socket.send("user_message", content="Second?", client_id="second")
                await socket.until("ack", client_id="second")
        server.signal(signal.SIGKILL)
        await server.wait()
        name, token = user.name, user.token

    ollama.script(Reply.of("Second answer."))
    async with server_process(data, environ=environ) as server, client(server.url, signed_up=False) as user:
        user.name, user.token = name, token
        answer = await eventually(lambda: answer_of(user, conversation))
        if moment == "queued":
            assert (answer["status"], answer["text"]) == ("complete", "Second answer.")
        else:
            assert (answer["status"], answer["text"]) == ("interrupted", "")
