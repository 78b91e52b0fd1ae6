"""Fixtures for the test kit's own tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from eudai_core.testing import FrozenClock, ScriptedModel, ScriptedOllama


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def ollama(clock: FrozenClock) -> AsyncIterator[ScriptedOllama]:
    models = (
        ScriptedModel(),
        ScriptedModel(name="plain:latest", capabilities=("completion",), context_length=8192, family="llama"),
        ScriptedModel(name="native:1b", rendered=False, capabilities=("completion", "tools")),
        ScriptedModel(name="embedder:latest", capabilities=("embedding",), context_length=8),
    )
    async with ScriptedOllama(models, clock=clock, slots=1) as server:
        yield server


@pytest.fixture
async def http(ollama: ScriptedOllama) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(ollama.url, connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session
