"""What the tests of the surface share: a real server over SQLite, with a scripted Ollama behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eudai_core.testing.scripted_ollama import ScriptedModel, ScriptedOllama
from support.client import Client, client
from support.server import RunningServer, running_server


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    plain = ScriptedModel("llama3.2:latest", capabilities=("completion",))
    async with ScriptedOllama([plain, ScriptedModel()]) as scripted:
        yield scripted


@pytest.fixture
async def server(tmp_path: Path, ollama: ScriptedOllama) -> AsyncIterator[RunningServer]:
    settings = {
        "EUDAI_DATA_DIR": str(tmp_path / "data"),
        "EUDAI_OLLAMA_HOST": ollama.url,
        "EUDAI_DEFAULT_MODEL": "llama3.2",
        "EUDAI_MAX_UPLOAD_MB": "2",
        "EUDAI_STREAM_TICK_MS": "0",
    }
    async with running_server(settings) as running:
        yield running


@pytest.fixture
async def user(server: RunningServer) -> AsyncIterator[Client]:
    async with client(server.url) as signed_up:
        yield signed_up
