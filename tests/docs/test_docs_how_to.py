"""What the how-to pages show is run."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from eudai_core.cli.running import NoJobs
from eudai_core.model import ContextQuery, PluginStatus, Stability
from eudai_core.plugins import PluginHost
from eudai_core.plugins.roles import CONTEXT_SOURCES
from eudai_core.testing.clock import FrozenClock

PAGE = "how-to/write-a-plugin.md"
MODULE = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MORNING = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)


@pytest.fixture(name="plugin")
def _plugin(page: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import the plugin of the page as it stands there."""
    for name, text in MODULE.findall(page(PAGE)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("eudai_now").plugin
    for name in [name for name in sys.modules if name.partition(".")[0] == "eudai_now"]:
        del sys.modules[name]


@asynccontextmanager
async def _hosted(plugin: Any, environ: Mapping[str, str]) -> AsyncIterator[PluginHost]:
    """Load the plugin as a server does."""
    clock = FrozenClock(MORNING)
    host = PluginHost.compose(plugins=[("eudai-now", plugin)], environ=environ, dotenv=None, clock=clock)
    try:
        await host.build(jobs=NoJobs(), roles=(CONTEXT_SOURCES,))
        yield host
    finally:
        await host.aclose()


async def test_the_host_loads_the_plugin(plugin: Any) -> None:
    async with _hosted(plugin, {}) as host:
        (state,) = host.states()
        assert (state.status, state.detail) == (PluginStatus.LOADED, "")
        assert set(state.hooks) == {"eudai_register_settings", "eudai_register_context_sources"}
        assert host.settings.explain("EUDAI_NOW_ZONE").owner == "eudai-now"


def test_the_plugin_module_imports_nothing_heavy(plugin: Any) -> None:
    assert plugin
    assert "eudai_now.source" not in sys.modules


async def test_the_source_tells_the_time_of_the_clock_and_zone(plugin: Any) -> None:
    async with _hosted(plugin, {"EUDAI_NOW_ZONE": "Asia/Tokyo"}) as host:
        (segment,) = await host.all(CONTEXT_SOURCES)["now"].collect(_query())
    assert segment.text == "The question was asked on Wednesday, 25 November 2026, 17:30 (Asia/Tokyo)."
    assert segment.stability is Stability.TURN


def test_the_entry_point_of_the_page_is_that_of_the_plugin(page: Callable[[str], str]) -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", page(PAGE), re.MULTILINE | re.DOTALL)
    assert tomllib.loads(text)["project"]["entry-points"]["eudai.plugins"] == {"eudai-now": "eudai_now:plugin"}


def _query() -> ContextQuery:
    return ContextQuery(uuid4(), uuid4(), uuid4(), "What day is it?", {}, (), "model", 1000)
