"""The least that a host needs to be built: every required role, filled by objects that do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eudai_core.contracts import ContextBudgeter, EventBus, PluginContext, Registrar, Storage
from eudai_core.hooks import hookimpl

__all__ = ["HousePlugin", "Inert", "NoJobs"]


class Inert:
    """Has every member that a contract may ask for; closing it is noted in ``closed``."""

    def __init__(self, name: str, closed: list[str]) -> None:
        self.name = name
        self._closed = closed

    def __getattr__(self, member: str) -> Any:
        return lambda *arguments, **options: None

    async def aclose(self) -> None:
        self._closed.append(self.name)


class HousePlugin:
    """Registers storage ``sql``, event bus ``sql`` and context budgeter ``shares``."""

    eudai_api = (0, 1)

    def __init__(self) -> None:
        self.built: list[str] = []
        self.closed: list[str] = []
        self.contexts: list[PluginContext] = []

    def make(self, name: str) -> Any:
        """Return a factory that notes when it is called."""

        def factory(context: PluginContext) -> Any:
            self.built.append(name)
            self.contexts.append(context)
            return Inert(name, self.closed)

        return factory

    @hookimpl
    def eudai_register_storage(self, register: Registrar[Storage]) -> None:
        register("sql", self.make("storage"))

    @hookimpl
    def eudai_register_event_buses(self, register: Registrar[EventBus]) -> None:
        register("sql", self.make("bus"))

    @hookimpl
    def eudai_register_context_budgeters(self, register: Registrar[ContextBudgeter]) -> None:
        register("shares", self.make("budgeter"))


class NoJobs:
    """A JobQueue that takes nothing."""

    async def enqueue(self, kind: str, key: str, payload: Mapping[str, Any], *, delay: float = 0.0) -> None:
        raise AssertionError("no job was expected")
