"""A host with the default plugins for content, context and storage, and a job runner over it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import eudai_content
import eudai_context
import eudai_sql
from eudai_core.ingest import INGEST_JOB, IngestHandler
from eudai_core.jobs import JobRunner
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import STORAGE
from eudai_core.testing.clock import FrozenClock
from support.ingest_desk import LIMITS, Desk, HostilePlugin, Told
from support.sql_rows import NOW, Rows


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def plugins() -> list[object]:
    return [
        ("eudai-sql", eudai_sql.plugin),
        ("eudai-content", eudai_content.plugin),
        ("eudai-context", eudai_context.plugin),
        ("hostile", HostilePlugin()),
    ]


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


@pytest.fixture
async def desk(url: str, tmp_path: Path, clock: FrozenClock, plugins: list[object]) -> AsyncIterator[Desk]:
    environ = {"EUDAI_DATA_DIR": str(tmp_path / "data"), "EUDAI_DATABASE_URL": url}
    host = PluginHost.compose(environ=environ, dotenv=None, plugins=plugins, clock=clock)
    runner = JobRunner(host, clock, "this")
    await host.build(jobs=runner)
    told = Told()
    handler = IngestHandler(host, told, LIMITS)
    runner.add(INGEST_JOB, handler)
    rows = Rows(host.one(STORAGE))
    await rows.begin()
    try:
        async with runner.running():
            yield Desk(host, runner, handler, told, rows)
    finally:
        await host.aclose()


@pytest.fixture
def scratch(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary copies go, once the database of the desk is there."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
