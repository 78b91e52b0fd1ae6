"""The scripted Ollama beside chat: endpoints, statuses, transport, control (ollama.md, sections 2 and 3)."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eudai_core.testing import Reply, ScriptedModel, ScriptedOllama
from eudai_core.testing.scripted_ollama import Gate, Piece, reply_from_json

ROOT = Path(__file__).parents[3]
CHAT: dict[str, Any] = {"model": "plain", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("path", "request_body", "status", "error"),
    [
        ("/api/chat", b"", 400, "missing request body"),
        ("/api/chat", b'{"model": "pl', 400, "invalid character '\"' looking for beginning of value"),
        ("/api/chat", b"{", 400, "unexpected EOF"),
        ("/api/chat", b"[]", 400, "json: cannot unmarshal array into Go value of type api.ChatRequest"),
        ("/api/chat", {"messages": []}, 400, "model is required"),
        (
            "/api/chat",
            {"model": 3},
            400,
            "json: cannot unmarshal number into Go struct field ChatRequest.model of type string",
        ),
        ("/api/chat", CHAT | {"model": "nope"}, 404, "model 'nope' not found"),
        ("/api/show", {"model": "nope"}, 404, "model 'nope:latest' not found"),
        ("/api/embed", {"model": "nope"}, 404, 'model "nope" not found, try pulling it first'),
        ("/api/chat", CHAT | {"think": True}, 400, '"plain" does not support thinking'),
        (
            "/api/chat",
            CHAT | {"think": "much"},
            400,
            'invalid think value: "much" (must be "high", "medium", "low", "max", true, or false)',
        ),
        (
            "/api/chat",
            CHAT | {"options": {"num_ctx": "8192"}},
            500,
            'option "num_ctx" must be of type integer',
        ),
        ("/api/chat", CHAT | {"options": {"stop": "x"}}, 500, 'option "stop" must be of type array'),
        ("/api/chat", CHAT | {"keep_alive": "soon"}, 400, 'time: invalid duration "soon"'),
        ("/api/embed", {"model": "plain", "input": "x"}, 501, "this model does not support embeddings"),
    ],
)
async def test_refusals(
    ollama: ScriptedOllama, http: aiohttp.ClientSession, path: str, request_body: Any, status: int, error: str
) -> None:
    data = request_body if isinstance(request_body, bytes) else json.dumps(request_body).encode()
    async with http.post(path, data=data) as response:
        assert (response.status, await response.json()) == (status, {"error": error})
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_unknown_options_and_integers_for_floats_are_fine(
    ollama: ScriptedOllama, http: aiohttp.ClientSession
) -> None:
    async with http.post("/api/chat", json=CHAT | {"options": {"wings": "two", "temperature": 1}}) as response:
        assert response.status == 200
        await response.read()


async def test_wrong_paths_and_methods_are_plain_text(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/nothing") as response:
        assert (response.status, response.content_type) == (404, "text/plain")
    async with http.get("/api/chat") as response:
        assert (response.status, response.content_type) == (405, "text/plain")
    async with http.get("/") as response:
        assert (response.status, await response.text()) == (200, "Ollama is running")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("chat.example.com", 403),
        ("8.8.8.8:11434", 403),
        ("localhost:11434", 200),
        ("box.local", 200),
        ("ollama.internal:1", 200),
        ("192.168.1.5:11434", 200),
        ("[::1]:11434", 200),
    ],
)
async def test_unknown_hosts_are_refused_without_a_body(http: aiohttp.ClientSession, host: str, status: int) -> None:
    async with http.get("/api/version", headers={"Host": host}) as response:
        assert response.status == status
        if status == 403:
            assert await response.read() == b""
            assert "Content-Type" not in response.headers


async def test_version_and_tags(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    async with http.get("/api/version") as response:
        assert await response.read() == b'{"version":"0.33.0"}'
    async with http.get("/api/tags") as response:
        first = (await response.json())["models"][0]
    assert list(first) == ["name", "model", "modified_at", "size", "digest", "details", "capabilities"]
    assert first["modified_at"] == "2026-11-01T12:30:05.123456789Z"
    assert first["details"]["context_length"] == 131072
    assert first["capabilities"] == ["completion", "thinking"]
    ollama.tags_facts = False
    async with http.get("/api/tags") as response:
        old = (await response.json())["models"][0]
    assert "capabilities" not in old
    assert "context_length" not in old["details"]


async def test_show_and_ps(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.install(ScriptedModel(name="own:latest", num_ctx=2048))
    async with http.post("/api/show", json={"model": "OWN"}) as response:
        shown = await response.json()
    assert shown["model_info"]["qwen2.context_length"] == 131072
    assert shown["parameters"].split() == ["num_ctx", "2048"]
    assert shown["tensors"]
    async with http.post("/api/chat", json=CHAT | {"model": "own"}) as response:
        await response.read()
    async with http.get("/api/ps") as response:
        (process,) = (await response.json())["models"]
    assert (process["name"], process["context_length"]) == ("own:latest", 2048)
    assert list(process)[-3:] == ["expires_at", "size_vram", "context_length"]


async def test_cloud_models_name_their_host(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.install(ScriptedModel(name="big:cloud", remote_host="https://ollama.com:443"))
    async with http.get("/api/tags") as response:
        last = (await response.json())["models"][-1]
    assert last["remote_host"] == "https://ollama.com:443"
    async with http.post("/api/chat", json=CHAT | {"model": "big:cloud"}) as response:
        line = json.loads(await response.content.readline())
    assert list(line)[:3] == ["model", "remote_model", "remote_host"]


async def test_pull(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.pullable["new:latest"] = ScriptedModel(name="new:latest")
    async with http.post("/api/pull", json={"model": "new"}) as response:
        lines = [json.loads(line) for line in (await response.read()).splitlines()]
    assert lines[0] == {"status": "pulling manifest"}
    assert "completed" not in lines[1]
    assert lines[5]["completed"] == lines[5]["total"]
    assert [line["status"] for line in lines[-4:]] == [
        "verifying sha256 digest",
        "writing manifest",
        "removing unused layers",
        "success",
    ]
    async with http.post("/api/pull", json={"model": "missing"}) as response:
        assert response.status == 200
        assert b'{"error":"pull model manifest: file does not exist"}' in await response.read()


async def test_closing_stops_a_pull(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.pullable["new:latest"] = ScriptedModel(name="new:latest")
    ollama.hold("pull")
    response = await http.post("/api/pull", json={"model": "new"})
    await ollama.standing("pull")
    response.close()
    await ollama.disconnected()
    async with http.post("/api/show", json={"model": "new"}) as shown:
        assert shown.status == 404


async def test_embed(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    async def embed(**members: Any) -> tuple[int, dict[str, Any]]:
        async with http.post("/api/embed", json={"model": "embedder", **members}) as response:
            return response.status, await response.json()

    status, answer = await embed(input=["a fox", "a fox", "another thing"])
    assert status == 200
    one, two, three = answer["embeddings"]
    assert one == two != three
    assert math.isclose(sum(value * value for value in three), 1.0)
    assert answer["prompt_eval_count"] == 6
    assert (await embed(input="w " * 20))[1]["prompt_eval_count"] == 8
    assert await embed(input="w " * 20, truncate=False) == (
        400,
        {"error": "the input length exceeds the context length"},
    )


async def test_refused_connections(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    url = ollama.url
    async with http.get("/api/version") as response:
        await response.read()
    await ollama.refuse()
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get("/api/version")
    await ollama.accept()
    assert ollama.url == url
    async with http.get("/api/version") as response:
        assert response.status == 200


async def test_failing_paths_and_gates_on_paths(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    ollama.fail("/api/tags", 500, "disk on fire")
    async with http.get("/api/tags") as response:
        assert (response.status, await response.json()) == (500, {"error": "disk on fire"})
    ollama.mend("/api/tags")
    ollama.hold("/api/tags")
    asking = asyncio.create_task(http.get("/api/tags"))
    await ollama.standing("/api/tags")
    assert not asking.done()
    ollama.release("/api/tags")
    assert (await asking).status == 200
    asking.result().close()


async def test_a_chunked_request_body_is_read(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    async def parts() -> Any:
        yield b'{"model":"plain",'
        yield b'"messages":[{"role":"user","content":"hi"}]}'

    async with http.post("/api/chat", data=parts()) as response:
        assert response.status == 200
        await response.read()
    assert ollama.chats[0].body == CHAT


async def test_the_control_endpoint(ollama: ScriptedOllama, http: aiohttp.ClientSession) -> None:
    orders = [
        {"reply": {"steps": [{"gate": "g"}, {"content": "scripted", "thinking": "hm"}]}, "model": "tiny"},
        {"install": {"name": "tiny:latest", "capabilities": ["completion"]}},
        {"release": "g"},
        {"fail": "/api/ps", "status": 503},
        {"pace": None},
    ]
    async with http.post("/_script", json=orders) as response:
        assert response.status == 200
    async with http.post("/api/chat", json=CHAT | {"model": "tiny"}) as response:
        assert b'"content":"scripted","thinking":"hm"' in await response.read()
    async with http.get("/_script") as response:
        report = await response.json()
    assert [(seen["path"], seen["status"]) for seen in report["requests"]] == [("/api/chat", 200)]
    assert report["loads"] == [{"model": "tiny:latest", "num_ctx": 4096, "shift": True}]
    bad: Any
    for bad in ({"wedge": "nothing"}, {"dance": True}, {"reply": {"step": []}}, {"install": {"nam": "x"}}):
        async with http.post("/_script", json=bad) as response:
            assert response.status == 400
    async with http.post("/_script", json=[{"mend": "/api/ps"}, {"remove": "tiny"}, {"reset": True}]) as response:
        assert response.status == 200
    assert ollama.requests == []


def test_replies_from_json() -> None:
    given = {"steps": [{"content": "a"}, {"gate": "g"}, {"raw": "x\n"}, {"error": "e"}, {"cut": True}, {"end": True}]}
    reply = reply_from_json(given | {"pace": 5.0})
    assert reply.steps[:2] == (Piece("a"), Gate("g"))
    assert len(reply.steps) == 6
    assert reply.pace == 5.0
    with pytest.raises(ValueError, match="no step"):
        reply_from_json({"steps": [{"colour": "red"}]})
    assert Reply.busy().status == 503
    assert Reply.forbidden().error is None


async def test_as_a_process() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "eudai_core.testing.scripted_ollama", "--port", "0", "--model", "tiny",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession(url) as http:
            async with http.post("/_script", json={"reply": {"status": 503, "error": "busy"}}) as response:
                assert response.status == 200
            async with http.post("/api/chat", json=CHAT | {"model": "tiny"}) as response:
                assert (response.status, await response.json()) == (503, {"error": "busy"})
    finally:
        process.terminate()
        await process.wait()
