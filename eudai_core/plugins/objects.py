"""The objects that work: chosen by name, built, filled in later where they were not ready, and closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from eudai_core.contracts import Clock, PluginContext
from eudai_core.errors import ConfigError, PluginError, PluginNotReady
from eudai_core.plugins.factories import make
from eudai_core.plugins.records import PluginRecord
from eudai_core.plugins.registry import Entry
from eudai_core.plugins.roles import ROLES, Role
from eudai_core.plugins.roster import Roster
from eudai_core.settings import CoreSettings, SettingSource

__all__ = ["CLOSE_SECONDS", "Objects"]

T = TypeVar("T")
CLOSE_SECONDS: Final = 10.0
"""How long an object may take to close."""
FIRST_RETRY: Final = 1.0
LAST_RETRY: Final = 60.0
"""Seconds between tries of a factory that is not ready and does not say when it may be."""
REQUIRED_TRIES: Final = 30
"""How often a required object that is not ready is tried before the start is given up."""
_log = logging.getLogger(__name__)


class Objects:
    """The chosen objects of all roles."""

    def __init__(self, roster: Roster, clock: Clock) -> None:
        """Choose and build nothing yet."""
        self._roster = roster
        self._clock = clock
        self._chosen: dict[str, list[Entry]] = {}
        self._built: list[Entry] = []
        self._retries: set[asyncio.Task[None]] = set()

    def choose(self, roles: Sequence[Role[Any]] = ROLES) -> None:
        """Resolve the names that the settings give.

        Raises:
            ConfigError: a required role has nobody, or the operator named somebody who is not there.
        """
        core = self._roster.settings.section(CoreSettings)
        self._chosen = {role.hook: self._choice(role, core) for role in roles}

    async def build(self, context: PluginContext) -> None:
        """Call the factories of the chosen, role by role.

        Raises:
            ConfigError: a plugin that holds a required role failed, or its settings are unusable.
        """
        for role in ROLES:
            for entry in list(self._chosen.get(role.hook, ())):
                if self._roster.record(entry.owner).alive:
                    await self._first_try(entry, context)

    def find(self, role: Role[T]) -> T | None:
        """Return the first chosen object of a role, or None."""
        for entry in self._chosen.get(role.hook, ()):
            if entry.ready:
                found: T = entry.value
                return found
        return None

    def one(self, role: Role[T]) -> T:
        """Return the chosen object.

        Raises:
            ConfigError: there is none; says which setting chooses and what is registered.
        """
        found = self.find(role)
        if found is None:
            raise ConfigError(self._absent(role, None))
        return found

    def all(self, role: Role[T]) -> Mapping[str, T]:
        """Return the ready objects of a role by name, in the operator's order, else in the order of loading."""
        return {entry.name: entry.value for entry in self._chosen.get(role.hook, ()) if entry.ready}

    def owner(self, role: Role[Any], name: str) -> str:
        """Return the plugin that registered an object. Raises PluginError when nobody did."""
        entry = self._roster.registry.find(role, name)
        if entry is None:
            raise PluginError(f"no {role.name} is called {name}")
        return entry.owner

    async def fail(self, record: PluginRecord, reason: str, error: BaseException | None = None) -> None:
        """Leave a plugin out and close what it built.

        Raises:
            ConfigError: the plugin holds a required role.
        """
        held = self._required_role_of(record)
        gone = self._roster.fail(record, reason, error)
        for entries in self._chosen.values():
            entries[:] = [entry for entry in entries if entry.owner != record.name]
        for entry in reversed(gone):
            await self._close(entry)
        if held is not None:
            raise ConfigError(
                f"The server cannot start: plugin {record.name}, which holds the {held.name}, failed: {reason}. "
                f"Mend it, or choose another one with {held.variable}."
            ) from error

    async def aclose(self) -> None:
        """Stop waiting for what is not ready, then close every object, the last built first."""
        for task in self._retries:
            task.cancel()
        await asyncio.gather(*self._retries, return_exceptions=True)
        for entry in reversed(self._built.copy()):
            await self._close(entry)

    async def _first_try(self, entry: Entry, context: PluginContext) -> None:
        record = self._roster.record(entry.owner)
        try:
            await (self._insist if entry.role.required else self._fill)(entry, context)
        except PluginNotReady as error:
            if entry.role.required:
                await self.fail(record, f"the {entry.title} did not become ready: {error.detail}", error)
            else:
                record.waiting[entry.title] = error.detail
                self._retry_later(entry, context, _delay(error, 0))
        except ConfigError as error:
            raise ConfigError(f"Plugin {entry.owner}: {error.detail}") from error
        except PluginError as error:
            await self.fail(record, error.detail, error)

    async def _fill(self, entry: Entry, context: PluginContext) -> None:
        entry.value = await make(entry, context)
        entry.ready = True
        self._built.append(entry)

    async def _insist(self, entry: Entry, context: PluginContext) -> None:
        """Wait for an object that the server cannot start without."""
        for attempt in range(REQUIRED_TRIES - 1):
            try:
                await self._fill(entry, context)
            except PluginNotReady as error:
                _log.warning("Waiting for the %s: %s", entry.title, error.detail)
                await self._clock.sleep(_delay(error, attempt))
            else:
                return
        await self._fill(entry, context)

    def _retry_later(self, entry: Entry, context: PluginContext, delay: float) -> None:
        task = asyncio.create_task(self._retry(entry, context, delay), name=f"waiting for the {entry.title}")
        self._retries.add(task)
        task.add_done_callback(self._retries.discard)

    async def _retry(self, entry: Entry, context: PluginContext, delay: float) -> None:
        """Try again until the object is there, its plugin has failed, or the host closes."""
        record = self._roster.record(entry.owner)
        attempt = 0
        while True:
            await self._clock.sleep(delay)
            if not record.alive:
                return
            attempt += 1
            try:
                await self._fill(entry, context)
            except PluginNotReady as error:
                record.waiting[entry.title] = error.detail
                delay = _delay(error, attempt)
            except (PluginError, ConfigError) as error:
                record.waiting.pop(entry.title, None)
                await self._fail_late(record, error)
                return
            else:
                record.waiting.pop(entry.title, None)
                _log.info("The %s of plugin %s is ready.", entry.title, entry.owner)
                return

    async def _fail_late(self, record: PluginRecord, error: PluginError | ConfigError) -> None:
        """Leave a plugin out of a server that runs; one that holds a required role stays and is degraded."""
        if self._required_role_of(record) is None:
            await self.fail(record, error.detail, error)
        else:
            record.problem = error.detail
            _log.error("Plugin %s failed in part: %s.", record.name, error.detail, exc_info=error)

    async def _close(self, entry: Entry) -> None:
        """Close an object that was built, once, whatever it does."""
        if entry not in self._built:
            return
        self._built.remove(entry)
        entry.ready = False
        close = getattr(entry.value, "aclose", None)
        if close is None or any(other.value is entry.value for other in self._built):
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await close()
        except Exception as error:  # the others must be closed all the same
            _log.warning("The %s of plugin %s did not close cleanly.", entry.title, entry.owner, exc_info=error)

    def _required_role_of(self, record: PluginRecord) -> Role[Any] | None:
        for role in ROLES:
            if role.required and any(entry.owner == record.name for entry in self._chosen.get(role.hook, ())):
                return role
        return None

    def _choice(self, role: Role[Any], core: CoreSettings) -> list[Entry]:
        if role.setting is None:
            return self._roster.registry.of(role)
        value = getattr(core, role.setting)
        names = value if isinstance(value, tuple) else (value,)
        return [entry for name in names if (entry := self._named(role, name)) is not None]

    def _named(self, role: Role[Any], name: str) -> Entry | None:
        entry = self._roster.registry.find(role, name)
        if entry is None:
            chosen_by_operator = self._roster.settings.explain(role.variable).source is not SettingSource.DEFAULT
            if role.required or chosen_by_operator:
                raise ConfigError(self._absent(role, name))
            _log.warning("%s", self._absent(role, name))
        return entry

    def _absent(self, role: Role[Any], name: str | None) -> str:
        there = ", ".join(f"{entry.name} ({entry.owner})" for entry in self._roster.registry.of(role)) or "none"
        wanted = f" called {name}" if name else ""
        choose = f" Choose one with {role.variable}." if role.setting else ""
        out = [f"{one.name} ({one.problem})" for one in self._roster.records if one.problem and not one.alive]
        left_out = f" Plugins that were left out: {', '.join(out)}." if out else ""
        return f"There is no {role.name}{wanted}. Registered: {there}.{choose}{left_out}"


def _delay(error: PluginNotReady, attempt: int) -> float:
    return float(error.retry_after or min(LAST_RETRY, FIRST_RETRY * 2**attempt))
