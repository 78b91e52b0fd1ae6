"""Chat without WebSockets: whole answers, and server-sent events."""

from __future__ import annotations

from typing import Any

from eudai_core.testing.scripted_ollama import Gate, Piece, Reply, ScriptedOllama
from support.client import Client, events_of

EVENTS = {"Accept": "text/event-stream"}


async def streamed(user: Client, conversation: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {user.token}", **EVENTS}
    path = f"{user.url}/api/conversations/{conversation}/messages"
    async with user.http.post(path, json=body, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        return [event async for event in events_of(response.content)]


async def test_a_whole_answer_as_json(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply.of("Hello ", "there"))
    conversation = await user.conversation()
    body = await user.call("POST", f"/api/conversations/{conversation}/messages", {"content": "Hi", "client_id": "1"})
    assert set(body) == {"user_message", "bot_message"}
    assert set(body["bot_message"]) == {
        *("id", "conversation_id", "parent_id", "siblings", "sender", "text", "thinking", "status", "model"),
        *("usage", "citations", "error", "client_id", "timestamp"),
    }
    assert (body["bot_message"]["text"], body["bot_message"]["status"]) == ("Hello there", "complete")
    assert body["bot_message"]["parent_id"] == body["user_message"]["id"]
    again = await user.call("POST", f"/api/conversations/{conversation}/messages", {"content": "Hi", "client_id": "1"})
    assert again == body
    assert len(ollama.chats) == 1


async def test_no_text_at_all_is_the_error(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply.refusing(500, "the runner has crashed"))
    conversation = await user.conversation()
    answer = await user.request("POST", f"/api/conversations/{conversation}/messages", body={"content": "Hi"})
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    messages = (await user.call("GET", f"/api/conversations/{conversation}"))["messages"]["items"]
    assert answer.json["message_id"] == messages[-1]["id"]
    assert messages[-1]["status"] == "failed"


async def test_an_unknown_model_is_404_and_nothing_is_kept(user: Client) -> None:
    conversation = await user.conversation()
    body = {"content": "Hi", "model": "no-such-model"}
    answer = await user.request("POST", f"/api/conversations/{conversation}/messages", body=body)
    assert (answer.status, answer.json["title"]) == (404, "Model not found")
    assert (await user.call("GET", f"/api/conversations/{conversation}"))["messages"]["items"] == []


async def test_an_answer_as_events_ends_with_the_answer(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply.of("Hello ", "there"))
    conversation = await user.conversation()
    events = await streamed(user, conversation, {"content": "Hi", "client_id": "x"})
    assert events[0]["type"] == "ack"
    assert events[-1]["type"] == "bot_message"
    assert events[-1]["content"] == "".join(event["content"] for event in events if event["type"] == "delta")
    assert all(event["id"] == event["seq"] for event in events if "seq" in event)
    again = await streamed(user, conversation, {"content": "Hi", "client_id": "x"})
    assert (again[-1]["type"], again[-1]["content"]) == ("bot_message", "Hello there")
    assert len(ollama.chats) == 1


async def test_a_refusal_has_its_status_also_as_events(user: Client) -> None:
    conversation = await user.conversation()
    path = f"/api/conversations/{conversation}/messages"
    empty = await user.request("POST", path, body={"content": ""}, headers=EVENTS)
    assert (empty.status, empty.json["title"]) == (400, "Bad request")


async def test_events_are_followed_and_resumed(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply(steps=[Piece("One "), Gate("middle"), Piece("two")]))
    conversation = await user.conversation()
    path = f"{user.url}/api/conversations/{conversation}/events"
    headers = {"Authorization": f"Bearer {user.token}"}
    text = ""
    async with user.http.get(path, headers=headers) as response, user.chat(conversation) as chat:
        await chat.send("user_message", content="Count")
        async for event in events_of(response.content):
            if event["type"] == "delta":
                text, last = event["content"], event["id"]
                break
    ollama.release("middle")
    async with user.http.get(path, headers={**headers, "Last-Event-ID": str(last)}) as response:
        async for event in events_of(response.content):
            if event["type"] == "delta":
                text = text[: event["offset"]] + event["content"]
            if event["type"] == "bot_message":
                break
    assert text == event["content"] == "One two"


async def test_events_of_nothing_are_refused_with_a_status(user: Client) -> None:
    conversation = await user.conversation()
    await user.call("GET", "/api/conversations/00000000-0000-7000-8000-000000000000/events", status=404)
    bad = await user.request("GET", f"/api/conversations/{conversation}/events", headers={"Last-Event-ID": "x"})
    assert bad.status == 400
    head = await user.request("HEAD", f"/api/conversations/{conversation}/events")
    assert (head.status, head.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")


async def test_log_out_ends_the_events(user: Client) -> None:
    conversation = await user.conversation()
    headers = {"Authorization": f"Bearer {user.token}"}
    async with user.http.get(f"{user.url}/api/conversations/{conversation}/events", headers=headers) as response:
        await user.call("POST", "/api/auth/logout", status=204)
        rest = [event async for event in events_of(response.content)]
    assert rest == []


async def test_commands_over_http(user: Client, ollama: ScriptedOllama) -> None:
    ollama.script(Reply(steps=[Piece("Begun "), Gate("never")]), Reply.of("rest"), Reply.of("other"))
    conversation = await user.conversation()
    path = f"/api/conversations/{conversation}"
    async with user.chat(conversation) as chat:
        await chat.send("user_message", content="Go")
        await chat.until("delta")
        assert await user.call("POST", f"{path}/stop", status=202) == {}
        stopped = await chat.until("bot_message")
        body = {"message_id": stopped["message_id"], "client_id": "c"}
        accepted = await user.call("POST", f"{path}/continue", body, status=202)
        assert set(accepted) == {"client_id", "message_id", "answer_id", "run_id"}
        whole = await chat.until("bot_message", run_id=accepted["run_id"])
        assert whole["content"] == "Begun rest"
        accepted = await user.call("POST", f"{path}/regenerate", status=202)
        other = await chat.until("bot_message", run_id=accepted["run_id"])
        assert other["content"] == "other"
    await user.call("POST", f"{path}/stop", {"run_id": "00000000-0000-7000-8000-000000000000"}, status=404)


async def test_models_are_listed(user: Client, ollama: ScriptedOllama) -> None:
    models = (await user.call("GET", "/api/models"))["items"]
    assert models[0]["is_language_model"] is True
    assert {model["backend"] for model in models} >= {"ollama", "extractive"}
    assert "host" not in models[0]
