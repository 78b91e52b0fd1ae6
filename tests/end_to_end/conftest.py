"""A scripted Ollama for real server processes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eudai_core.testing.scripted_ollama import ScriptedOllama
from support.chatting import PLAIN


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    """Return an Ollama with one model, which does not think."""
    async with ScriptedOllama([PLAIN]) as ollama:
        yield ollama
