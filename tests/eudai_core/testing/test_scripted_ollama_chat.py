"""The scripted Ollama's chat: shapes byte for byte, phases, faults (ollama.md, sections 1, 4 and 6)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from eudai_core.testing import FrozenClock, Reply, ScriptedOllama
from eudai_core.testing.scripted_ollama import Cut, End, ErrorLine, Gate, Load, Piece, Raw

HELLO = [{"role": "user", "content": "hello there"}]


def body(model: str = "deepseek-r1", **members: Any) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, **members}


async def lines(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await response.read()).split(b"\n") if line]


async def raw_exchange(ollama: ScriptedOllama, payload: bytes) -> bytes:
    """Send a request over a bare socket and return every byte of the answer."""
    host, _, port = ollama.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/chat HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(payload)}\r\n\r\n"
    writer.write(head.encode() + payload)
    answer = await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


async def test_the_bytes_of_a_stream(ollama: ScriptedOllama) -> None:
    ollama.script(Reply(steps=(Piece(thinking="because"), Piece(content=" a<b & c\u2028d\x85e"), Piece())))
    answer = await raw_exchange(ollama, json.dumps(body()).encode())
    head, _, chunked = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nDate: ")
    assert head.endswith(b"\r\nTransfer-Encoding: chunked")
    parts = chunked.split(b"\r\n")
    assert parts[1] == (
        b'{"model":"deepseek-r1:latest","created_at":"2026-01-01T00:00:00Z",'
        b'"message":{"role":"assistant","content":"","thinking":"because"},"done":false}\n'
    )
    assert parts[3] == (
        b'{"model":"deepseek-r1:latest","created_at":"2026-01-01T00:00:00.000000037Z",'
        b'"message":{"role":"assistant","content":" a\\u003cb \\u0026 c\\u2028d\xc2\x85e"},"done":false}\n'
    )
    assert parts[5] == (
        b'{"model":"deepseek-r1:latest","created_at":"2026-01-01T00:00:00.000000074Z",'
        b'"message":{"role":"assistant","content":""},"done":false}\n'
    )
    assert parts[7] == (
        b'{"model":"deepseek-r1:latest","created_at":"2026-01-01T00:00:00.000000111Z",'
        b'"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",'
        b'"total_duration":281148968,"load_duration":254093053,"prompt_eval_count":3,'
        b'"prompt_eval_duration":3810000,"eval_count":7,"eval_duration":23245915}\n'
    )
    assert [int(size, 16) for size in parts[0:8:2]] == [len(part) for part in parts[1:8:2]]


async def test_zero_counts_are_absent_and_the_last_line_may_carry_text(
    ollama: ScriptedOllama, http: aiohttp.ClientSession
) -> None:
    message = {"role": "assistant", "content": "end"}
    ollama.script(Reply(done={"prompt_eval_count": 0, "done_reason": None, "message": message}))
    async with http.post("/api/chat", json=body()) as response:
        (last,) = await lines(response)
    assert last["done"] is True
    assert last["message"] == message
    assert "prompt_eval_count" not in last
    assert "done_reason" not in last


async def test_no_byte_before_the_first_line(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.script(Reply(steps=(Gate("first"), Piece("hi"), Gate("second"), Piece(" you"))))
    asking = asyncio.create_task(http.post("/api/chat", json=body()))
    await ollama.standing("first")
    assert not asking.done()
    assert ollama.requests[0].status is None
    ollama.release("first")
    async with await asking as response:
        first = await response.content.readline()
        assert json.loads(first)["message"]["content"] == "hi"
        await ollama.standing("second")
        ollama.release("second")
        assert len((await response.read()).split(b"\n")) == 3


async def test_errors_in_the_stream(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.script(
        Reply(steps=(Piece("a"), ErrorLine("an error was encountered while running the model"))),
        Reply(steps=(Piece("a"), End())),
        Reply(steps=(Piece("a"), Cut())),
        Reply(steps=(Cut(reset=True),)),
        Reply(steps=(Raw(b"no json\n"), End())),
    )
    async with http.post("/api/chat", json=body()) as response:
        assert response.status == 200
        assert (await lines(response))[1] == {"error": "an error was encountered while running the model"}
    async with http.post("/api/chat", json=body()) as response:
        assert [line["done"] for line in await lines(response)] == [False]
    async with http.post("/api/chat", json=body()) as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.post("/api/chat", json=body())
    async with http.post("/api/chat", json=body()) as response:
        assert await response.read() == b"no json\n"


async def test_a_client_that_leaves_is_noticed(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.script(Reply(steps=(Piece("a"), Gate("never"), Piece("b"))))
    response = await http.post("/api/chat", json=body())
    await response.content.readline()
    await ollama.standing("never")
    response.close()
    await ollama.disconnected()
    assert (ollama.chats[0].left, ollama.chats[0].lines, ollama.chats[0].ended) == (True, 1, True)
    async with http.post("/api/chat", json=body("plain")) as after:
        await after.read()
    await ollama.finished(2)
    assert not ollama.chats[1].left


async def test_the_default_answer_tells_what_was_sent(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    messages = [
        {"role": "system", "content": "Answer  in rhyme."},
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "content": "A fox."},
        {"role": "user", "content": "context: …\n\nWhat colour?\n"},
    ]
    async with http.post("/api/chat", json={"model": "plain", "messages": messages}) as response:
        parts = await lines(response)
    assert "".join(part["message"]["content"] for part in parts) == (
        "You asked: What colour?\nMessages received: 4\nSystem text: Answer in rhyme.\nAsked before: Who are you?"
    )
    async with http.post("/api/chat", json=body(stream=False)) as response:
        whole = await response.json()
    assert response.content_type == "application/json"
    assert whole["message"]["thinking"] == "deepseek-r1:latest reads 1 messages."
    assert whole["done"] is True


async def test_thinking_is_on_unless_told_off(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    async def thinks(**members: Any) -> bool:
        async with http.post("/api/chat", json=body(**members)) as response:
            return any("thinking" in line["message"] for line in await lines(response))

    assert await thinks()
    assert await thinks(think="high")
    assert not await thinks(think=False)
    assert not await thinks(model="plain", think=False)


async def test_load_and_unload(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    async def call(**members: Any) -> dict[str, Any]:
        async with http.post("/api/chat", json={"model": "plain", "messages": [], **members}) as response:
            answer: dict[str, Any] = await response.json()
            return answer

    loaded = await call(options={"num_ctx": 100_000}, keep_alive=-1)
    assert (loaded["done_reason"], loaded["message"]) == ("load", {"role": "assistant", "content": ""})
    assert ollama.loaded == {"plain:latest": 8192}
    assert (await call(keep_alive=0))["done_reason"] == "unload"
    assert ollama.loaded == {}


async def test_an_idle_model_is_unloaded_after_its_time(
    ollama: ScriptedOllama, http: aiohttp.ClientSession, clock: FrozenClock
) -> None:
    async with http.post("/api/chat", json=body("plain", keep_alive="10m")) as response:
        await response.read()

    async def listed() -> list[str]:
        async with http.get("/api/ps") as response:
            return [model["name"] for model in (await response.json())["models"]]

    clock.advance(599)
    assert await listed() == ["plain:latest"]
    clock.advance(2)
    assert await listed() == []


async def test_another_window_or_shift_loads_again(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    for members in ({}, {"options": {"num_ctx": 2048}}, {"options": {"num_ctx": 2048}}, {}, {"shift": False}):
        async with http.post("/api/chat", json=body("plain", **members)) as response:
            assert response.status == 200
            await response.read()
    assert ollama.loads == [
        Load("plain:latest", 4096, True),
        Load("plain:latest", 2048, True),
        Load("plain:latest", 4096, True),
        Load("plain:latest", 4096, False),
    ]


async def test_a_model_that_loads_is_not_listed(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.hold("load")
    asking = asyncio.create_task(http.post("/api/chat", json=body("plain")))
    await ollama.standing("load")
    async with http.get("/api/ps") as response:
        assert await response.json() == {"models": []}
    ollama.release("load")
    (await asking).close()


async def test_slots_are_waited_for_without_a_byte(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.script(Reply(steps=(Piece("a"), Gate("hold"))))
    first = await http.post("/api/chat", json=body("plain"))
    second = asyncio.create_task(http.post("/api/chat", json=body("plain")))
    await ollama.received(2)
    assert not second.done()
    ollama.release("hold")
    assert (await second).status == 200
    first.close()
    second.result().close()


async def test_a_wedged_model_is_cured_by_unloading(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    with pytest.raises(LookupError):
        ollama.wedge("plain")
    async with http.post("/api/chat", json=body("plain")) as response:
        await response.read()
    ollama.wedge("plain")
    stuck = asyncio.create_task(http.post("/api/chat", json=body("plain")))
    await ollama.received(2)
    async with http.get("/api/ps") as response:
        assert len((await response.json())["models"]) == 1
    stuck.cancel()
    await ollama.disconnected()
    async with http.post("/api/chat", json={"model": "plain", "messages": [], "keep_alive": 0}) as response:
        assert (await response.json())["done_reason"] == "unload"
    async with http.post("/api/chat", json=body("plain")) as response:
        assert response.status == 200
        await response.read()


async def test_num_predict_and_the_window_bound_an_answer(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    async def generated(**members: Any) -> tuple[str, int, int]:
        ollama.script(Reply.of(*["w "] * 30))
        async with http.post("/api/chat", json=body("plain", **members)) as response:
            parts = await lines(response)
        return parts[-1]["done_reason"], parts[-1]["eval_count"], len(parts) - 1

    assert await generated() == ("stop", 31, 30)
    assert await generated(options={"num_predict": 5}) == ("length", 5, 5)
    assert await generated(options={"num_ctx": 16}, shift=False) == ("length", 13, 13)
    assert await generated(options={"num_ctx": 16}) == ("stop", 31, 30)


LONG = [{"role": "system", "content": "s " * 9}] + [
    {"role": role, "content": "w " * 9} for _ in range(10) for role in ("user", "assistant")
]
LONG_CHAT = [*LONG, {"role": "user", "content": "q " * 9}]
LONG_MESSAGE = [{"role": "user", "content": "w " * 99}]


@pytest.mark.parametrize(
    ("model", "messages", "members", "status", "outcome"),
    [
        ("deepseek-r1", LONG_CHAT, {}, 200, 60),
        ("native:1b", LONG_CHAT, {}, 200, 60),
        ("deepseek-r1", LONG_CHAT, {"truncate": False}, 400, '"n_prompt_tokens":220,"n_ctx":64'),
        ("native:1b", LONG_CHAT, {"truncate": False}, 400, '"n_prompt_tokens":220,"n_ctx":64'),
        ("deepseek-r1", LONG_MESSAGE, {}, 200, 32),
        ("native:1b", LONG_MESSAGE, {}, 400, "exceed_context_size_error"),
        ("deepseek-r1", LONG_MESSAGE, {"shift": False}, 400, "the prompt is longer than the context length"),
        ("native:1b", LONG_MESSAGE, {"shift": False}, 400, "exceed_context_size_error"),
    ],
)
async def test_a_prompt_over_the_window(
    ollama: ScriptedOllama,
    http: aiohttp.ClientSession,
    model: str,
    messages: list[dict[str, str]],
    members: dict[str, Any],
    status: int,
    outcome: int | str,
) -> None:
    request = {"model": model, "messages": messages, "options": {"num_ctx": 64}, **members}
    async with http.post("/api/chat", json=request) as response:
        assert response.status == status
        answer = await lines(response)
    if isinstance(outcome, int):
        assert answer[-1]["prompt_eval_count"] == outcome
    else:
        assert outcome in answer[0]["error"]


async def test_the_nested_error_is_a_document_in_a_string(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.script(Reply.too_long(2157, 1024))
    async with http.post("/api/chat", json=body()) as response:
        assert response.status == 400
        inner = json.loads((await response.json())["error"])
    assert inner == {
        "error": {
            "code": 400,
            "message": "request (2157 tokens) exceeds the available context size (1024 tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 2157,
            "n_ctx": 1024,
        }
    }


async def test_replies_for_one_model_wait_for_it(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.script(Reply.of("for native"), model="native:1b")
    ollama.script(Reply.of("for any"))
    texts = []
    for model in ("plain", "native:1b"):
        async with http.post("/api/chat", json=body(model, stream=False)) as response:
            texts.append((await response.json())["message"]["content"])
    assert texts == ["for any", "for native"]


async def test_cached_counts_tell_the_common_prefix() -> None:
    async with (
        ScriptedOllama(cached_counts=True) as ollama,
        aiohttp.ClientSession(ollama.url) as http,
    ):
        counts = []
        for question in ("one two three", "one two four"):
            messages = [{"role": "user", "content": question}]
            async with http.post("/api/chat", json=body() | {"messages": messages}) as response:
                counts.append((await lines(response))[-1].get("prompt_eval_cached_count"))
    assert counts == [None, 3]


async def test_tool_calls_need_the_capability(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    call = {"id": "call_ab12cd34", "function": {"index": 0, "name": "f", "arguments": {"b": 1, "a": 2}}}
    ollama.script(Reply(steps=(Piece(tool_calls=(call,)),)))
    async with http.post("/api/chat", json=body("native:1b", tools=[{"type": "function"}])) as response:
        assert (await lines(response))[0]["message"]["tool_calls"] == [call]
    async with http.post("/api/chat", json=body("plain", tools=[{"type": "function"}])) as response:
        assert response.status == 400
        assert (await response.json())["error"] == "registry.ollama.ai/library/plain:latest does not support tools"
