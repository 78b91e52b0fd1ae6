from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from eudai_core.errors import StorageUnavailable
from eudai_core.hooks import hookimpl
from eudai_core.model import PluginState, PluginStatus
from eudai_core.plugins import PluginHost
from eudai_core.plugins.reports import STATES_FILE, read_states, save_states, write_states
from eudai_core.testing.clock import FrozenClock
from support.plugins.house import HousePlugin, Inert, NoJobs

Compose = Callable[..., PluginHost]

STATE = PluginState(
    "x", "x-dist", "1.2", PluginStatus.DEGRADED, "why", 12.5, ("eudai_on_event",), {"eudai_on_event": 3}
)


def test_states_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "new" / "plugin-states.json"
    write_states(path, [STATE])
    assert read_states(path) == [STATE]
    write_states(path, [])
    assert read_states(path) == []
    assert [one.name for one in path.parent.iterdir()] == ["plugin-states.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]", json.dumps([{"name": "x"}])])
def test_a_file_that_makes_no_sense_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plugin-states.json"
    path.write_text(text)
    assert read_states(path) == []


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert read_states(tmp_path / "plugin-states.json") == []


class _Work:
    def __init__(self, saved: list[Any]) -> None:
        self._saved = saved

    @property
    def plugin_states(self) -> _Work:
        return self

    async def save(self, instance: str, states: Sequence[PluginState], *, at: datetime) -> None:
        self._saved.append((instance, [state.name for state in states], at))

    async def commit(self) -> None:
        self._saved.append("committed")

    async def __aenter__(self) -> _Work:
        return self

    async def __aexit__(self, *error: object) -> None:
        return None


class _Storage(Inert):
    def __init__(self, saved: list[Any], *, down: bool) -> None:
        super().__init__("storage", [])
        self._saved, self._down = saved, down

    def unit_of_work(self, *, readonly: bool = False) -> _Work:
        if self._down:
            raise StorageUnavailable("The database does not answer.")
        return _Work(self._saved)


class _House(HousePlugin):
    def __init__(self, storage: _Storage) -> None:
        super().__init__()
        self._storage = storage

    @hookimpl
    def eudai_register_storage(self, register: Any) -> None:
        register("sql", lambda context: self._storage)


async def host_over(compose: Compose, storage: _Storage, folder: Path) -> PluginHost:
    host = compose(("house", _House(storage)), EUDAI_DATA_DIR=str(folder))
    await host.build(jobs=NoJobs())
    return host


async def test_states_are_saved_in_the_database(compose: Compose, clock: FrozenClock, tmp_path: Path) -> None:
    saved: list[Any] = []
    await save_states(await host_over(compose, _Storage(saved, down=False), tmp_path), "me")
    assert saved == [("me", ["house"], clock.now()), "committed"]
    assert not (tmp_path / STATES_FILE).exists()


async def test_without_a_database_they_are_saved_in_the_data_directory(compose: Compose, tmp_path: Path) -> None:
    host = await host_over(compose, _Storage([], down=True), tmp_path)
    await save_states(host, "me")
    assert [state.name for state in read_states(tmp_path / STATES_FILE)] == ["house"]
