"""A project in a database, on each dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import eudai_auth
from eudai_core.testing import FrozenClock
from support.assembled import World, open_world


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url, eudai_auth.plugin) as opened:
        yield opened
