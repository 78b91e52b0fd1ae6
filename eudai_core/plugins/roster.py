"""The plugins of one host, and what becomes of one that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pluggy

from eudai_core.errors import PluginError
from eudai_core.plugins.records import PluginRecord
from eudai_core.plugins.registry import Entry, Registry
from eudai_core.settings import Settings

__all__ = ["Roster", "reason_of"]

_log = logging.getLogger(__name__)


def reason_of(step: str, error: BaseException) -> str:
    """Say for operators why a step failed."""
    if isinstance(error, PluginError):
        return error.detail
    return f"{step} raised {type(error).__name__}: {error}".removesuffix(": ")


@dataclass(slots=True, eq=False)
class Roster:
    """Every plugin known, in load order, with all that they brought."""

    manager: pluggy.PluginManager
    settings: Settings
    registry: Registry = field(default_factory=Registry)
    records: list[PluginRecord] = field(default_factory=list)

    def record(self, name: str) -> PluginRecord:
        """Return the record of a plugin that was registered."""
        return next(record for record in self.records if record.name == name and record.plugin is not None)

    def alive(self) -> list[PluginRecord]:
        """Return the plugins that take part."""
        return [record for record in self.records if record.alive]

    def fail(self, record: PluginRecord, reason: str, error: BaseException | None = None) -> list[Entry]:
        """Leave a plugin out from now on, and return the entries that were withdrawn with it."""
        _log.warning("Plugin %s is left out: %s.", record.name, reason, exc_info=error)
        record.fail(reason)
        record.waiting.clear()
        if self.manager.get_plugin(record.name) is record.plugin and record.plugin is not None:
            self.manager.unregister(name=record.name)
        self.settings.withdraw(record.name)
        return self.registry.withdraw(record.name)

    def attempt(self, record: PluginRecord, step: str, action: Callable[[], object]) -> bool:
        """Run a step of a plugin's life; what it raises fails the plugin. Tells whether it went well."""
        try:
            action()
        except (Exception, SystemExit) as error:  # a plugin's own code runs here and may raise anything
            expected = isinstance(error, PluginError)
            self.fail(record, reason_of(step, error), None if expected else error)
            return False
        return True
