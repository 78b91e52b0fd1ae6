"""The official Python client finds in the scripted Ollama what it expects of a real one."""

from __future__ import annotations

import ollama as official
import pytest

from eudai_core.testing import Reply, ScriptedModel, ScriptedOllama


async def test_the_official_client(ollama: ScriptedOllama) -> None:
    ollama.pullable["new:latest"] = ScriptedModel(name="new:latest")
    client = official.AsyncClient(host=ollama.url)
    try:
        listed = await client.list()
        assert [model.model for model in listed.models][:2] == ["deepseek-r1:latest", "plain:latest"]
        assert listed.models[0].modified_at is not None
        shown = await client.show("deepseek-r1")
        assert shown.capabilities == ["completion", "thinking"]
        ollama.script(Reply.of("Five", ".", thinking=("I add.",)))
        messages = [{"role": "user", "content": "2 + 3?"}]
        parts = [part async for part in await client.chat("deepseek-r1", messages, stream=True)]
        assert "".join(part.message.content or "" for part in parts) == "Five."
        assert parts[0].message.thinking == "I add."
        assert (parts[-1].done_reason, parts[-1].prompt_eval_count, parts[-1].eval_count) == ("stop", 4, 5)
        (process,) = (await client.ps()).models
        assert (process.model, process.context_length) == ("deepseek-r1:latest", 4096)
        statuses = [part.status async for part in await client.pull("new", stream=True)]
        assert statuses[-1] == "success"
        assert len((await client.embed("embedder", "a fox")).embeddings) == 1
        with pytest.raises(official.ResponseError, match="not found") as caught:
            await client.chat("nope", messages)
        assert caught.value.status_code == 404
    finally:
        await client._client.aclose()
