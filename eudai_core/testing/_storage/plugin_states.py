"""How the plugins of each process are doing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from eudai_core.model import PluginState, PluginStatus
from eudai_core.testing._storage.keeping import must_equal
from eudai_core.testing._storage.rows import Rows, at

__all__ = ["check_plugin_states"]


async def check_plugin_states(rows: Rows) -> None:
    """The states of the process that reported last are given; a report replaces the process's last one."""
    good = PluginState("a", "eudai", "0.1", PluginStatus.LOADED, "", 1.5, ["eudai_authorize"], {})
    bad = PluginState("b", "other", "2", PluginStatus.FAILED, "it raised", 0.5, [], {"collect": 3})
    worse = replace(good, status=PluginStatus.DEGRADED)

    async def latest() -> list[PluginState]:
        async with rows.reading() as work:
            return sorted(await work.plugin_states.latest(), key=lambda state: state.name)

    async def save(instance: str, states: Sequence[PluginState], seconds: float) -> None:
        async with rows.writing() as work:
            await work.plugin_states.save(instance, states, at=at(seconds))

    must_equal(await latest(), [], "before the first report there are no states")
    await save("p1", [good, bad], 1)
    must_equal(await latest(), [good, bad], "states come back whole")
    await save("p2", [good], 2)
    must_equal(await latest(), [good], "the states of the process that reported last are given")
    await save("p1", [worse], 3)
    must_equal(await latest(), [worse], "a report replaces the one before of its process")
    await save("p2", [bad], 2.5)
    must_equal(await latest(), [worse], "the process that reported last is told by time")
