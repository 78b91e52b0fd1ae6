"""Chat over the WebSocket, against a scripted Ollama."""

from __future__ import annotations

import asyncio
import json

import pytest

from eudai_core.testing.scripted_ollama import Gate, Piece, Reply, ScriptedOllama
from eudai_quart import lifelines
from eudai_quart.socket_loop import MESSAGES
from support.client import Client
from support.server import RunningServer


async def test_a_client_that_knows_only_the_designed_parts(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply.of("Hel", "lo ", "there"))
    conversation = await user.conversation()
    pieces, final = [], None
    async with user.chat(conversation) as chat:
        await chat.socket.send(json.dumps({"type": "user_message", "content": "Hi"}))
        while final is None:
            event = json.loads(await chat.socket.recv())
            if event["type"] == "delta":
                pieces.append(event["content"])
            if event["type"] == "bot_message":
                final = event
    assert "".join(pieces) == final["content"] == "Hello there"
    assert final["message_id"]


async def test_the_events_of_a_turn(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply.of("One ", "two", thinking=("Let me ", "see")))
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await chat.send("user_message", content="Count", client_id="c1", model="deepseek-r1")
        final = await chat.until("bot_message")
    (ack,) = chat.of("ack")
    (question,) = chat.of("user_message")
    assert (ack["client_id"], question["client_id"]) == ("c1", "c1")
    assert ack["message_id"] == question["message_id"] == final["parent_id"]
    assert ack["answer_id"] == question["answer_id"] == final["message_id"]
    assert ack["run_id"] == final["run_id"]
    assert "seq" not in ack
    assert question["content"] == "Count"
    assert chat.text(final["message_id"]) == final["content"] == "One two"
    assert chat.text(final["message_id"], "thinking") == "Let me see"
    numbers = [event["seq"] for event in chat.events if "seq" in event]
    assert numbers == sorted(set(numbers))
    assert {event["conversation_id"] for event in chat.events} == {conversation}
    assert final["status"] == "complete"
    assert {"phase"} <= chat.of("status")[0].keys()
    stored = (await user.call("GET", f"/api/conversations/{conversation}"))["messages"]["items"]
    assert [(message["sender"], message["text"]) for message in stored] == [("user", "Count"), ("llm", "One two")]
    report = await user.call("GET", f"/api/messages/{final['message_id']}/context")
    assert report["message_id"] == final["message_id"]


async def test_two_sockets_see_the_same_events(user: Client, ollama: ScriptedOllama) -> None:
    conversation = await user.conversation()
    async with user.chat(conversation) as one, user.chat(conversation) as other:
        await one.send("user_message", content="Hello")
        await one.until("bot_message")
        await other.until("bot_message")
    shared = [event for event in one.events if "seq" in event]
    assert [event for event in other.events if event["type"] != "status" or "seq" in event] == shared
    assert other.of("ack") == []


async def test_a_client_that_left_resumes_to_the_same_text(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply(steps=[Piece("Ä "), Piece("b😀 "), Gate("middle"), Piece("c "), Piece("d")]))
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await chat.send("user_message", content="Spell")
        last = (await chat.until("delta"))["seq"]
    ollama.release("middle")
    async with user.chat(conversation, after=last) as again:
        final = await again.until("bot_message")
        chat.events += again.events
    assert chat.text(final["message_id"]) == final["content"] == "Ä b😀 c d"


async def test_joining_in_the_middle_begins_with_a_snapshot(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply(steps=[Piece("So "), Piece("far "), Gate("middle"), Piece("so good")]))
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await chat.send("user_message", content="Well?")
        while chat.text((await chat.until("delta"))["message_id"]) != "So far ":
            pass
        async with user.chat(conversation) as late:
            snapshot = await late.until("snapshot")
            assert snapshot["content"] == "So far "
            ollama.release("middle")
            final = await late.until("bot_message")
    assert late.text(final["message_id"]) == final["content"] == "So far so good"


async def test_resume_on_a_live_socket(user: Client, ollama: ScriptedOllama) -> None:
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await chat.send("user_message", content="Hello")
        final = await chat.until("bot_message")
        await chat.send("resume", after=0)
        assert await chat.until("bot_message") == final


async def test_stop_keeps_what_was_written(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply(steps=[Piece("Begun "), Gate("never"), Piece("not seen")]))
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await chat.send("user_message", content="Go on")
        await chat.until("delta")
        await chat.send("stop")
        final = await chat.until("bot_message")
    assert (final["status"], final["content"]) == ("stopped", "Begun ")
    await asyncio.wait_for(ollama.disconnected(), 10)


async def test_regenerate_makes_a_sibling_and_continue_goes_on(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply.of("first"), Reply(steps=[Piece("second "), Gate("never")]), Reply.of("half"))
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await chat.send("user_message", content="Hello")
        first = await chat.until("bot_message")
        await chat.send("regenerate", message_id=first["message_id"], client_id="again")
        assert (await chat.until("ack"))["client_id"] == "again"
        await chat.until("delta")
        await chat.send("stop")
        second = await chat.until("bot_message")
        await chat.send("continue", message_id=second["message_id"])
        whole = await chat.until("bot_message")
    assert whole["message_id"] == second["message_id"] != first["message_id"]
    assert whole["content"] == "second half"
    messages = (await user.call("GET", f"/api/conversations/{conversation}"))["messages"]["items"]
    assert set(messages[-1]["siblings"]) == {first["message_id"], second["message_id"]}


async def test_the_same_client_id_is_one_message(user: Client, ollama: ScriptedOllama) -> None:
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        for _ in range(3):
            await chat.send("user_message", content="Once", client_id="same")
        acks = [await chat.until("ack") for _ in range(3)]
        await chat.send("user_message", content="Other", client_id="same")
        error = await chat.until("error")
        if not chat.of("bot_message"):
            await chat.until("bot_message")
    assert acks[0] == acks[1] == acks[2]
    assert (error["status"], error["title"], error["client_id"]) == (409, "Conflict", "same")
    assert len(ollama.chats) == 1


@pytest.mark.parametrize(
    "message",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"type": "unknown"}',
        '{"type": "user_message"}',
        b"",
        b'{"type": "ping"}',
        "[" * 60_000,
    ],
)
async def test_bad_events_are_answered_and_the_socket_stays(user: Client, message: str | bytes) -> None:
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await chat.socket.send(message)
        error = await chat.next()
        await chat.send("ping")
        assert await chat.next() == {"type": "pong"}
    assert (error["type"], error["status"], error["title"]) == ("error", 400, "Bad request")
    assert error["conversation_id"] == conversation


async def test_a_failed_answer_is_an_error_and_one_bot_message(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply.refusing(500, "the runner has crashed"))
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await chat.send("user_message", content="Hello")
        final = await chat.until("bot_message")
        (error,) = chat.of("error")
    assert final["status"] == "failed"
    assert error["status"] in {502, 503}
    assert error["code"] == final["error"]["code"]


async def test_too_many_messages_close_the_socket(user: Client) -> None:
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        for _ in range(MESSAGES + 1):
            await chat.send("ping")
        assert await chat.closed() == 4429


async def test_log_out_closes_the_sockets(user: Client) -> None:
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await user.call("POST", "/api/auth/logout", status=204)
        assert await chat.closed() == 4401


async def test_a_session_that_ended_elsewhere_closes_the_sockets(user: Client, server: RunningServer) -> None:
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        identity = next(iter(server.surface.lifelines._lines)).identity
        assert identity.session_id is not None
        async with server.app.storage.unit_of_work() as unit:
            await unit.sessions.revoke(identity.session_id, server.app.clock.now())
            await unit.commit()
        server.app.accounts._live._known.clear()  # as its few seconds of memory would pass
        await server.surface.lifelines.check_sessions()
        assert await chat.closed() == 4401


async def test_a_deleted_conversation_closes_its_sockets(user: Client) -> None:
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await user.call("DELETE", f"/api/conversations/{conversation}", status=204)
        assert await chat.closed() == 4403


async def test_a_restart_closes_sockets_with_1012_and_keeps_the_answer(
    user: Client, server: RunningServer, ollama: ScriptedOllama
) -> None:
    ollama.script(Reply(steps=[Piece("Begun "), Gate("never")]))
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        await chat.send("user_message", content="Go on")
        final = await chat.until("delta")
        await server.stop()
        assert await chat.closed() == 1012
    async with server.app.storage.unit_of_work(readonly=True) as unit:
        from uuid import UUID

        answer = await unit.messages.get(UUID(final["message_id"]))
    assert (str(answer.status), answer.text) == ("interrupted", "Begun ")


async def test_a_silent_peer_is_dropped(user: Client, server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        monkeypatch.setattr(server.surface.lifelines, "_dead_s", -1.0)
        server.surface.lifelines.ping()
        assert await chat.closed() == 1006


async def test_pings_reach_the_peer(user: Client, server: RunningServer) -> None:
    conversation = await user.conversation()
    async with user.chat(conversation) as chat:
        (line,) = server.surface.lifelines._lines
        assert line.peer is not None
        await chat.send("ping")
        await chat.next()
        server.surface.lifelines.ping()
        await chat.send("ping")
        await chat.next()
        assert line.peer.silent_for() < lifelines.DEAD_S
