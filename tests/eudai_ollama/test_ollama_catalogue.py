"""Which models are offered, with which windows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from eudai_core.errors import BackendUnavailable, ModelNotFound
from eudai_core.model import ModelInfo
from eudai_core.testing import FrozenClock, ScriptedModel, ScriptedOllama, chat_request
from eudai_core.testing.llm_checks import collect
from eudai_ollama.backend import OllamaBackend

MakeBackend = Callable[..., OllamaBackend]


async def by_name(backend: OllamaBackend) -> dict[str, ModelInfo]:
    return {model.name: model for model in await backend.models()}


def asked(ollama: ScriptedOllama, path: str) -> int:
    return sum(seen.path == path for seen in ollama.requests)


async def test_chat_models_are_offered(ollama: ScriptedOllama, backend: OllamaBackend) -> None:
    models = await by_name(backend)
    assert list(models) == ["deepseek-r1:latest", "plain:latest"]
    thinker, plain = models.values()
    assert thinker == ModelInfo(
        name="deepseek-r1:latest",
        backend="ollama",
        window=8192,
        max_answer_tokens=4096,
        capabilities=frozenset({"thinking"}),
        capacity=2,
        size=4683075440,
        family="qwen2",
        description="qwen2 7.6B Q4_K_M",
    )
    assert (plain.capabilities, plain.max_answer_tokens) == (frozenset(), 2048)
    assert asked(ollama, "/api/show") == 0


async def test_older_servers_are_asked_for_each_model_once(
    ollama: ScriptedOllama, backend: OllamaBackend, clock: FrozenClock
) -> None:
    ollama.tags_facts = False
    ollama.install(ScriptedModel(name="small:1b", context_length=2048, capabilities=("completion", "tools", "vision")))
    models = await by_name(backend)
    assert list(models) == ["deepseek-r1:latest", "plain:latest", "small:1b"]
    assert (models["small:1b"].window, models["small:1b"].max_answer_tokens) == (2048, 1024)
    assert models["small:1b"].capabilities == {"tools", "vision"}
    assert asked(ollama, "/api/show") == 4
    clock.advance(6)
    assert await by_name(backend) == models
    assert (asked(ollama, "/api/show"), asked(ollama, "/api/tags")) == (4, 2)
    ollama.install(ScriptedModel(name="small:1b", context_length=1024, capabilities=("completion",), salt="again"))
    clock.advance(6)
    assert (await by_name(backend))["small:1b"].window == 1024
    assert asked(ollama, "/api/show") == 5


async def test_a_model_that_cannot_be_shown_does_not_hide_the_others(
    ollama: ScriptedOllama, backend: OllamaBackend, clock: FrozenClock
) -> None:
    ollama.tags_facts = False
    ollama.fail("/api/show", 500, "corrupt")
    models = await by_name(backend)
    assert set(models) == {"deepseek-r1:latest", "plain:latest", "embedder:latest"}
    assert {model.window for model in models.values()} == {8192}
    ollama.mend("/api/show")
    clock.advance(6)
    assert set(await by_name(backend)) == {"deepseek-r1:latest", "plain:latest"}


@pytest.mark.parametrize(("setting", "window"), [(None, 8192), (4096, 4096), (16384, 16384), (10**6, 32768)])
async def test_the_window_is_chosen_by_setting_and_training(
    make_backend: MakeBackend, setting: int | None, window: int
) -> None:
    backend = make_backend(window=setting, max_answer_tokens=3000)
    plain = (await by_name(backend))["plain:latest"]
    assert (plain.window, plain.max_answer_tokens) == (window, min(3000, window // 2))


async def test_a_window_that_no_file_tells_is_what_is_allocated(
    ollama: ScriptedOllama, make_backend: MakeBackend
) -> None:
    ollama.install(ScriptedModel(name="odd:latest", context_length=None, capabilities=("completion",)))
    first = make_backend()
    assert (await by_name(first))["odd:latest"].window == 8192
    unlimited = (await by_name(first))["odd:latest"]
    small = ModelInfo(name="odd:latest", backend="ollama", window=1000)
    await collect(first, chat_request(small))
    assert (await by_name(make_backend()))["odd:latest"].window == 1000
    assert (await by_name(first))["odd:latest"] == unlimited


async def test_cloud_models_are_marked(ollama: ScriptedOllama, backend: OllamaBackend) -> None:
    ollama.install(ScriptedModel(name="big:cloud", remote_host="https://ollama.com:443", context_length=None))
    assert "leaves this machine" in (await by_name(backend))["big:cloud"].description
    assert asked(ollama, "/api/show") == 0


async def test_the_list_is_asked_for_once_in_a_while(
    ollama: ScriptedOllama, backend: OllamaBackend, clock: FrozenClock
) -> None:
    for _ in range(5):
        await backend.models()
    assert asked(ollama, "/api/tags") == 1
    clock.advance(5)
    await backend.models()
    assert asked(ollama, "/api/tags") == 2


async def test_a_model_that_disappeared_renews_the_list(
    ollama: ScriptedOllama, backend: OllamaBackend, plain: ModelInfo
) -> None:
    ollama.remove("plain")
    with pytest.raises(ModelNotFound, match="ollama pull plain:latest"):
        await collect(backend, chat_request(plain))
    assert "plain:latest" not in await by_name(backend)


async def test_out_of_reach(ollama: ScriptedOllama, backend: OllamaBackend, clock: FrozenClock) -> None:
    await ollama.refuse()
    with pytest.raises(BackendUnavailable, match="ollama serve"):
        await backend.models()
    await ollama.accept()
    with pytest.raises(BackendUnavailable, match="ollama serve"):
        await backend.models()
    clock.advance(5)
    assert len(await backend.models()) == 2


async def test_a_refusal_or_nonsense_is_out_of_reach_too(
    ollama: ScriptedOllama, backend: OllamaBackend, clock: FrozenClock
) -> None:
    ollama.fail("/api/tags", 500, "disk on fire")
    with pytest.raises(BackendUnavailable, match="disk on fire"):
        await backend.models()
    ollama.fail("/api/tags", 200, "no list")
    clock.advance(5)
    assert await backend.models() == ()
