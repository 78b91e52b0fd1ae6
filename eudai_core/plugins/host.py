"""The plugin host: one for each Application, nothing global.

The life of a plugin: discovered by metadata, chosen, imported, its API version checked, its hook specs added, checked
and registered, its settings read, its objects registered (``compose``), names resolved, factories called (``build``),
its lifespan entered (``lifespans``). From then on everything is frozen: registrars are closed, names are reserved, and
only an object that was not ready fills its place later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import pluggy

from eudai_core.clock import SystemClock
from eudai_core.contracts import Clock, JobQueue
from eudai_core.errors import PluginError
from eudai_core.hooks import PROJECT
from eudai_core.model import MigrationSource, PluginState
from eudai_core.plugins.blocking import BlockingPool
from eudai_core.plugins.calls import CallGuard, is_answer
from eudai_core.plugins.composition import admit, collect_registrations, collect_settings
from eudai_core.plugins.context import HostContext
from eudai_core.plugins.discovery import candidates, choose, discover
from eudai_core.plugins.faults import FaultLedger
from eudai_core.plugins.lifespans import Lifespan
from eudai_core.plugins.objects import Objects
from eudai_core.plugins.roles import ROLES, Role
from eudai_core.plugins.roster import Roster, reason_of
from eudai_core.plugins.runner import HookRunner, Implementation
from eudai_core.settings import CoreSettings, Settings
from eudai_core.settings.sources import DOTENV

__all__ = ["PluginHost"]

T = TypeVar("T")
LIFESPAN = "eudai_lifespan"
_log = logging.getLogger(__name__)


class PluginHost:
    """Plugins, their hooks and their objects."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Begin without plugins; use :meth:`compose`."""
        self.settings = settings
        self.clock = clock
        manager = pluggy.PluginManager(PROJECT)
        self._ledger = FaultLedger(clock)
        self._guard = CallGuard(self._ledger)
        self.hooks = HookRunner(manager, self._guard)
        self._roster = Roster(manager, settings)
        self._objects = Objects(self._roster, clock)
        self._pool = BlockingPool()

    @classmethod
    def compose(
        cls,
        *,
        overrides: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
        dotenv: Path | None = DOTENV,
        plugins: Sequence[object] | None = None,
        clock: Clock | None = None,
        strict: bool = True,
    ) -> Self:
        """Read the settings, load the plugins and let them register.

        Args:
            overrides: settings of the highest rank, by variable name.
            environ: the environment; None for the process's own.
            dotenv: the ``.env`` file; None for none.
            plugins: what to load instead of everything installed: objects, ``(name, object)`` pairs, or names of
                installed plugins.
            clock: the time; None for the system's.
            strict: whether wrong and unknown settings of plugins are errors; without, they show where they are used.

        Raises:
            ConfigError: settings are wrong. A plugin that fails is no error here: see :meth:`states`.
        """
        settings = Settings.load(environ=environ, dotenv=dotenv, overrides=overrides)
        core = settings.section(CoreSettings)
        if plugins is None:
            found = discover()
            choose(found, core)
        else:
            found = candidates(plugins)
        host = cls(settings, clock or SystemClock())
        admit(host._roster, found)
        collect_settings(host._roster, host.hooks, strict=strict)
        collect_registrations(host._roster, host.hooks)
        return host

    def check(self) -> None:
        """Resolve the names that settings give to objects, without building any.

        Raises:
            ConfigError: a required role has nobody, or the operator named somebody who is not there.
        """
        self._objects.choose()

    async def build(self, *, jobs: JobQueue, roles: Sequence[Role[Any]] = ROLES) -> None:
        """Resolve names and call the factories of the chosen objects, storage first.

        Args:
            jobs: the job queue that factories are given.
            roles: which roles to build; a command that needs the storage only builds no more than that.

        Raises:
            ConfigError: a required role has nobody, or its plugin failed. Everything built is closed again.
        """
        context = HostContext(self._objects, self.settings, self._pool, jobs, self.clock)
        try:
            self._objects.choose(roles)
            await self._objects.build(context)
        except BaseException:
            await self.aclose()
            raise

    def one(self, role: Role[T]) -> T:
        """Return the object that a setting chose. Raises ConfigError, saying what to do, when there is none."""
        return self._objects.one(role)

    def find(self, role: Role[T]) -> T | None:
        """Return the object that a setting chose, or None."""
        return self._objects.find(role)

    def all(self, role: Role[T]) -> Mapping[str, T]:
        """Return the objects of a role that are ready, by name, in the operator's order, else in load order."""
        return self._objects.all(role)

    def owner(self, role: Role[Any], name: str) -> str:
        """Return the name of the plugin that registered an object."""
        return self._objects.owner(role, name)

    async def guard(
        self,
        owner: str,
        what: str,
        call: Callable[[], Awaitable[T]],
        *,
        timeout: float | None,  # noqa: ASYNC109 -- the limit is the point of this function
    ) -> T:
        """Await ``call()`` of an object of plugin ``owner``, counting faults under ``what``.

        Errors of a contract (any EudaiError that is no PluginError) pass unchanged and are no faults. Cancelling the
        caller cancels the call.

        Raises:
            PluginFault: the plugin raised something else, took longer than ``timeout`` seconds, or is quarantined.
        """
        return await self._guard.call(owner, what, call, limit=timeout, passes=is_answer)

    def collect(self, hook: str, make_registrar: Callable[[str], T]) -> Mapping[str, T]:
        """Run a registration hook of a plugin-defined role: each plugin gets a registrar of its own.

        A plugin that raises is counted and named in its state, and is missing from the result.
        """
        collected: dict[str, T] = {}
        for one in self.hooks.in_load_order(hook):
            registrar = make_registrar(one.owner)
            try:
                one.bound({"register": registrar})()
            except (Exception, SystemExit) as error:  # a plugin's own code; the others must go on
                self._blame(one.owner, hook, error)
            else:
                collected[one.owner] = registrar
        return collected

    def lifespans(self, app: object) -> AbstractAsyncContextManager[None]:
        """Enter the lifespans of all plugins of an Application in load order, and leave them in reverse.

        One that fails fails its plugin, and the rest goes on.

        Raises:
            ConfigError: the plugin that failed holds a required role; those entered are left again.
        """
        return self._lifespans(app)

    def migrations(self) -> Sequence[MigrationSource]:
        """Return the tables that plugins keep, in load order."""
        return self._roster.registry.migrations()

    async def leave_out(self, branch: str, reason: str) -> None:
        """Fail the plugin whose tables of ``branch`` cannot be used; one that was left out already stays so.

        Raises:
            ConfigError: it holds a required role.
        """
        owner = self._roster.registry.owner_of_migration(branch)
        if owner is not None:
            await self._objects.fail(self._roster.record(owner), reason)

    def states(self) -> Sequence[PluginState]:
        """Return how every plugin is doing now, also those that were left out."""
        return [
            record.state(faults=self._ledger.counts(record.name), degraded=self._ledger.degraded(record.name))
            for record in self._roster.records
        ]

    async def run_blocking(self, function: Callable[..., T], *args: Any) -> T:
        """Run a blocking function in the bounded thread pool."""
        return await self._pool.run(function, *args)

    async def aclose(self) -> None:
        """End notices and retries, close the objects in reverse, then the thread pool. May be called twice."""
        await self.hooks.aclose()
        await self._objects.aclose()
        self._pool.close()

    @asynccontextmanager
    async def _lifespans(self, app: object) -> AsyncGenerator[None]:
        entered: list[Lifespan] = []
        try:
            for one in self.hooks.in_load_order(LIFESPAN):
                lifespan = await self._enter(one, app)
                if lifespan is not None:
                    entered.append(lifespan)
            yield
        finally:
            for lifespan in reversed(entered):
                await self._leave(lifespan)

    async def _enter(self, one: Implementation, app: object) -> Lifespan | None:
        record = self._roster.record(one.owner)
        if not record.alive:
            return None
        try:
            manager = one.bound({"app": app})()
            if manager is None:
                return None
            if not isinstance(manager, AbstractAsyncContextManager):
                raise PluginError(f"its lifespan is a {type(manager).__name__}, not an async context manager")
            lifespan = Lifespan(one.owner, manager, lambda error: self._blame(one.owner, LIFESPAN, error))
            await lifespan.enter()
        except asyncio.CancelledError:
            raise
        except (Exception, SystemExit) as error:  # a plugin's own code
            self._ledger.faulted(one.owner, LIFESPAN, reason_of("its lifespan", error))
            await self._objects.fail(record, reason_of("its lifespan", error), error)
            return None
        return lifespan

    async def _leave(self, lifespan: Lifespan) -> None:
        try:
            await lifespan.leave()
        except Exception as error:  # a plugin's own code; the others must be left all the same
            self._ledger.faulted(lifespan.owner, LIFESPAN, reason_of("leaving its lifespan", error))
            _log.warning("Plugin %s failed at its end.", lifespan.owner, exc_info=error)

    def _blame(self, owner: str, what: str, error: BaseException | None) -> None:
        """Note a fault that lasts: the plugin stays, and its state tells."""
        reason = f"{what} ended early" if error is None else reason_of(what, error)
        self._ledger.faulted(owner, what, reason)
        self._roster.record(owner).problem = reason
        _log.warning("Plugin %s failed: %s.", owner, reason, exc_info=error)
