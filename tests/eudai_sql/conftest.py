"""A storage on each dialect, and rows to begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from eudai_sql.storage import SqlStorage, open_storage
from support.portable import new_url, odd, opened
from support.sql_rows import Rows

__all__ = ["new_url", "odd", "opened"]


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[SqlStorage]:
    """An empty storage."""
    opened = open_storage(database_url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def rows(storage: SqlStorage) -> Rows:
    """Rows to begin with: a user, a project of theirs and a conversation in it."""
    rows = Rows(storage)
    await rows.begin()
    return rows
