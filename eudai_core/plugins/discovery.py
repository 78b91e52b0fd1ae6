"""Finding plugins by metadata, choosing among them, and importing the chosen."""

from __future__ import annotations

import difflib
import importlib.metadata
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Final

from eudai_core.errors import ConfigError
from eudai_core.plugins.records import PluginRecord
from eudai_core.settings import CoreSettings

__all__ = ["GROUP", "SLOW_IMPORT_MS", "Candidate", "candidates", "choose", "discover", "load"]

GROUP: Final = "eudai.plugins"
SLOW_IMPORT_MS: Final = 100.0
"""Above this, an import is logged: it delays every start of the server and of most commands."""
_OWN: Final = "eudai"
"""The distribution of the default plugins."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that may be loaded: its record, and where to import it from (None: ``record.plugin`` is there)."""

    record: PluginRecord
    entry: EntryPoint | None


def discover() -> list[Candidate]:
    """Return every installed plugin, the default ones first, then by name; imports nothing.

    Of two with one name the first stays; the other is failed and says whose name it took.
    """
    found = [_candidate(entry) for entry in importlib.metadata.entry_points(group=GROUP)]
    found.sort(key=lambda one: (one.record.distribution != _OWN, one.record.name, one.record.distribution))
    _refuse_doubles(found)
    return found


def candidates(plugins: Sequence[object]) -> list[Candidate]:
    """Return the plugins that a library user listed: objects, ``(name, object)`` pairs, or names of installed ones.

    Raises:
        ConfigError: a name is not that of an installed plugin.
    """
    installed = {one.record.name: one for one in discover()} if any(isinstance(one, str) for one in plugins) else {}
    found = []
    for plugin in plugins:
        if isinstance(plugin, str):
            if plugin not in installed:
                raise ConfigError(f"No plugin {plugin} is installed.{_suggestion(plugin, list(installed))}")
            found.append(installed[plugin])
        else:
            name, value = plugin if isinstance(plugin, tuple) else (_name_of(plugin), plugin)
            version = getattr(sys.modules.get(type(value).__module__), "__version__", "")
            found.append(Candidate(PluginRecord(name, version=str(version), plugin=value), None))
    _refuse_doubles(found)
    return found


def choose(found: Sequence[Candidate], core: CoreSettings) -> None:
    """Disable what the operator does not want: by allow list, deny list and safe mode, before anything is imported.

    Raises:
        ConfigError: the allow list names a plugin that is not installed, or a list has a name that looks misspelt.
    """
    names = [one.record.name for one in found]
    for name in core.plugins:
        if name not in names:
            raise ConfigError(f"EUDAI_PLUGINS names {name}, which is not installed.{_suggestion(name, names)}")
    for name in core.plugins_deny:
        if name not in names and (hint := _suggestion(name, names)):
            raise ConfigError(f"EUDAI_PLUGINS_DENY names {name}, which is not installed.{hint}")
    for one in found:
        if reason := _unwanted(one.record, core):
            one.record.disable(reason)


def load(candidate: Candidate) -> None:
    """Import a plugin; what goes wrong is kept in its record."""
    if candidate.entry is None:
        return
    record = candidate.record
    started = time.perf_counter()
    try:
        record.plugin = candidate.entry.load()
    except (Exception, SystemExit) as error:  # any code may stand in a module, and none of it may stop the host
        record.fail(f"its import raised {type(error).__name__}: {error}")
        _log.warning("Plugin %s is left out: its import raised %s.", record.name, type(error).__name__, exc_info=error)
    record.import_ms = (time.perf_counter() - started) * 1000
    if record.import_ms > SLOW_IMPORT_MS:
        _log.warning(
            "Plugin %s took %.0f ms to import: it should import nothing heavy before its factories are called.",
            record.name,
            record.import_ms,
        )


def _candidate(entry: EntryPoint) -> Candidate:
    distribution = entry.dist
    name, version = (distribution.name, distribution.version) if distribution else ("", "")
    return Candidate(PluginRecord(entry.name, name, version), entry)


def _refuse_doubles(found: Sequence[Candidate]) -> None:
    first: dict[str, PluginRecord] = {}
    for one in found:
        record = first.setdefault(one.record.name, one.record)
        if record is not one.record:
            owner = record.distribution or "another plugin"
            one.record.fail(f"its name is taken by {owner}: uninstall one of the two")


def _unwanted(record: PluginRecord, core: CoreSettings) -> str:
    if record.name in core.plugins_deny:
        return "denied by EUDAI_PLUGINS_DENY"
    if core.plugins and record.name not in core.plugins:
        return "not in EUDAI_PLUGINS"
    if core.safe_mode and record.distribution != _OWN:
        return "left out in safe mode"
    return ""


def _name_of(plugin: object) -> str:
    """Name an object as its entry point would where its package says ``plugin = <object>``, else after its class."""
    package = type(plugin).__module__.partition(".")[0]
    if getattr(sys.modules.get(package), "plugin", None) is plugin:
        return package.replace("_", "-")
    own = getattr(plugin, "__name__", None)  # modules and classes
    return own if isinstance(own, str) else type(plugin).__name__


def _suggestion(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {close[0]}?" if close else ""
