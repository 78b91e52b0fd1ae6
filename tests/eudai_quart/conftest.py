"""What the tests of the surface share: a real server over each database, with a scripted Ollama behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from eudai_core.testing.scripted_ollama import ScriptedModel, ScriptedOllama
from support.client import ANSWER_CHECKS, EVENT_CHECKS, Client, client
from support.conformance import conformance, conforming_event
from support.server import RunningServer, running_server


@pytest.fixture(autouse=True)
def _answers_are_as_documented() -> Iterator[None]:
    """Hold every answer and every event of every test against the documents that the surface gives of itself."""
    check = conformance().check
    ANSWER_CHECKS.append(check)
    EVENT_CHECKS.append(conforming_event)
    yield
    ANSWER_CHECKS.remove(check)
    EVENT_CHECKS.remove(conforming_event)


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    plain = ScriptedModel("llama3.2:latest", capabilities=("completion",))
    async with ScriptedOllama([plain, ScriptedModel()]) as scripted:
        yield scripted


@pytest.fixture
async def server(tmp_path: Path, ollama: ScriptedOllama, every_database: str) -> AsyncIterator[RunningServer]:
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
