"""The plugin in a real application, before an Ollama that says what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from eudai_core.app import Application
from eudai_core.model import Credentials, Identity
from eudai_core.testing.scripted_ollama import ScriptedModel, ScriptedOllama
from eudai_tally import TallyPlugin
from eudai_tally.tally import Tally

DEFAULTS = ("sql", "auth", "content", "context", "ollama", "quart")
MODEL = ScriptedModel("llama3.2:latest", capabilities=("completion",))
PASSWORD = "correct horse battery"


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    """An eudai with the default plugins and this one, on SQLite in a directory of its own."""
    async with ScriptedOllama([MODEL]) as ollama:
        settings = {
            "EUDAI_DATA_DIR": str(tmp_path),
            "EUDAI_SECRET_KEY": "a secret of the tests, longer than 32 bytes",
            "EUDAI_OLLAMA_HOST": ollama.url,
        }
        plugins = [*(f"eudai-{name}" for name in DEFAULTS), ("eudai-tally", TallyPlugin())]
        async with Application.open(overrides=settings, environ={}, dotenv=None, plugins=plugins) as app:
            yield app


@pytest.fixture
async def identity(application: Application) -> Identity:
    """A user who is signed in."""
    await application.accounts.create_user(username="ada", email="ada@example.org", password=PASSWORD)
    pair = await application.accounts.log_in(login="ada", password=PASSWORD)
    return await application.accounts.authenticate(Credentials("bearer", pair.access_token))


async def test_answers_are_counted(application: Application, identity: Identity) -> None:
    project = await application.projects.create(identity, name="A project")
    conversation = await application.conversations.create(identity, project.id)
    for question in ("One?", "Two?"):
        accepted = await application.chat.send(identity, conversation.id, content=question)
        await application.chat.outcome(accepted)
    tally = Tally(application.storage)
    async with asyncio.timeout(30):
        # Plugins hear of an answer after those who wait for it.
        while sum(day.answers for day in await tally.days(identity.user_id)) < 2:  # noqa: ASYNC110 nothing tells it
            await asyncio.sleep(0.01)
    (day,) = await tally.days(identity.user_id)
    assert day.answers == 2
    assert day.prompt_tokens > 0
    assert day.answer_tokens > 0


async def test_nobody_has_counts_before_the_first_answer(application: Application, identity: Identity) -> None:
    assert await Tally(application.storage).days(identity.user_id) == []
