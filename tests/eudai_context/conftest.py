"""Projects in a database, for the tests of the sources."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.assembled import World, open_world


@pytest.fixture
async def world(sqlite_url: str) -> AsyncIterator[World]:
    async with open_world(sqlite_url) as opened:
        yield opened
