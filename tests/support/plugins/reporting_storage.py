"""A storage that knows nothing but what a server reported of its plugins; and one that never answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from eudai_core.contracts import PluginContext
from eudai_core.hooks import hookimpl
from eudai_core.model import PluginState, PluginStatus
from support.plugins.house import HousePlugin, Inert

__all__ = ["dead", "reporting"]


class _Work:
    @property
    def plugin_states(self) -> _Work:
        return self

    async def latest(self) -> Sequence[PluginState]:
        detail = "collect failed 5 times in a row"
        return [PluginState("good", "x", "1", PluginStatus.DEGRADED, detail, faults={"collect": 7})]

    async def __aenter__(self) -> _Work:
        return self

    async def __aexit__(self, *error: object) -> None:
        return None


class _DeadWork(_Work):
    async def __aenter__(self) -> _Work:
        await asyncio.Event().wait()
        return self


class _Storage(Inert):
    def __init__(self, work: _Work) -> None:
        super().__init__("storage", [])
        self._work = work

    def unit_of_work(self, *, readonly: bool = False) -> _Work:
        return self._work


class _House(HousePlugin):
    def __init__(self, work: _Work) -> None:
        super().__init__()
        self._work = work

    @hookimpl
    def eudai_register_storage(self, register: Any) -> None:
        register("sql", self._storage)

    def _storage(self, context: PluginContext) -> Any:
        return _Storage(self._work)


reporting = _House(_Work())
dead = _House(_DeadWork())
