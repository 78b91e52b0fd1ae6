"""A scripted Ollama, and the backend in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from eudai_core.model import ModelInfo
from eudai_core.testing import FrozenClock, ScriptedModel, ScriptedOllama
from eudai_ollama.backend import OllamaBackend
from eudai_ollama.settings import OllamaSettings

MODELS = (
    ScriptedModel(),
    ScriptedModel(name="plain:latest", capabilities=("completion",), context_length=32768, family="llama"),
    ScriptedModel(name="embedder:latest", capabilities=("embedding",), context_length=512),
)

MakeBackend = Callable[..., OllamaBackend]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama(MODELS) as server:
        yield server


@pytest.fixture
async def make_backend(ollama: ScriptedOllama, clock: FrozenClock) -> AsyncIterator[MakeBackend]:
    """Make backends with some settings changed; they are closed at the end."""
    made: list[OllamaBackend] = []

    def make(**settings: Any) -> OllamaBackend:
        made.append(OllamaBackend(OllamaSettings(**{"host": ollama.url, **settings}), clock))
        return made[-1]

    yield make
    for backend in made:
        await backend.aclose()


@pytest.fixture
async def backend(make_backend: MakeBackend) -> OllamaBackend:
    return make_backend()


@pytest.fixture
async def thinker(backend: OllamaBackend) -> ModelInfo:
    """A model that can think."""
    return next(model for model in await backend.models() if model.name == "deepseek-r1:latest")


@pytest.fixture
async def plain(backend: OllamaBackend) -> ModelInfo:
    """A model that cannot."""
    return next(model for model in await backend.models() if model.name == "plain:latest")
