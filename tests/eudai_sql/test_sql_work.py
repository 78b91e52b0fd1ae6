"""What is forgotten with time. What jobs and plugin states do is checked by the conformance suite."""

from __future__ import annotations

from eudai_core.model import PluginState, PluginStatus
from eudai_sql.storage import SqlStorage
from support.sql_rows import at

DAY = 24 * 3600


async def test_states_of_processes_that_ended_are_forgotten_after_a_day(storage: SqlStorage) -> None:
    state = PluginState("a", "eudai", "0.1", PluginStatus.LOADED)
    async with storage.unit_of_work() as work:
        await work.plugin_states.save("p1", [state], at=at(3))
        await work.plugin_states.save("p2", [], at=at(3 + DAY))
        assert [one.name for one in await work.plugin_states.latest()] == ["a"]
        await work.plugin_states.save("p2", [], at=at(4 + DAY))
        assert await work.plugin_states.latest() == []
