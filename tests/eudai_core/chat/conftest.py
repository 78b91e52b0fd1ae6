"""Applications on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.chatting import Chatting, chatting


@pytest.fixture
async def chat(database_url: str, tmp_path: Path) -> AsyncIterator[Chatting]:
    """Return a user's view of an application, once on SQLite and once on PostgreSQL."""
    async with chatting(tmp_path / "data", overrides={"EUDAI_DATABASE_URL": database_url}) as view:
        yield view
