"""The Ollama backend passes the suite of LLM backends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eudai_core.clock import SystemClock
from eudai_core.testing import LLMBackendSuite, ScriptedOllama
from eudai_ollama.backend import OllamaBackend
from eudai_ollama.settings import OllamaSettings


class TestOllamaBackend(LLMBackendSuite):
    @pytest.fixture
    async def backend(self) -> AsyncIterator[OllamaBackend]:
        async with ScriptedOllama(pace=500) as ollama:
            backend = OllamaBackend(OllamaSettings(host=ollama.url), SystemClock())
            yield backend
            await backend.aclose()
