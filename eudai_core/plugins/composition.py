"""The synchronous part of a plugin's life: from its import to its registrations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import pluggy

from eudai_core import hookspecs
from eudai_core.errors import PluginError
from eudai_core.plugins.discovery import Candidate, load
from eudai_core.plugins.records import PluginRecord
from eudai_core.plugins.registry import MigrationTaker, ObjectTaker, SettingsTaker
from eudai_core.plugins.roles import ROLES
from eudai_core.plugins.roster import Roster
from eudai_core.plugins.runner import HookRunner, Implementation
from eudai_core.plugins.signatures import check_api, check_hooks, check_spec, specs_in

__all__ = ["admit", "collect_registrations", "collect_settings"]

_Taker = SettingsTaker | MigrationTaker | ObjectTaker


def admit(roster: Roster, found: Sequence[Candidate]) -> None:
    """Import, check and register the candidates that nobody disabled; those that break a rule are failed."""
    roster.manager.add_hookspecs(hookspecs)
    for candidate in found:
        record = candidate.record
        roster.records.append(record)
        if record.problem:
            continue
        load(candidate)
        if record.alive:
            roster.attempt(record, "its API version", partial(check_api, record.plugin))
    for record in roster.alive():
        roster.attempt(record, "eudai_add_hookspecs", partial(_add_specs, roster.manager, record))
    for record in roster.alive():
        roster.attempt(record, "its registration", partial(_register, roster.manager, record))


def collect_settings(roster: Roster, hooks: HookRunner, *, strict: bool) -> None:
    """Let plugins register their settings, then, where ``strict``, read all values.

    Raises:
        ConfigError: keys are unknown or values wrong, all of them named.
    """
    _collect(roster, hooks, "eudai_register_settings", lambda owner: SettingsTaker(owner, roster.settings))
    if not strict:
        return
    # The sections of plugins that are not loaded are not known, so that their keys cannot be judged.
    strangers = any(not record.alive for record in roster.records)
    roster.settings.check(strangers=strangers)


def collect_registrations(roster: Roster, hooks: HookRunner) -> None:
    """Let plugins register their tables and their objects."""
    _collect(roster, hooks, "eudai_register_migrations", lambda owner: MigrationTaker(owner, roster.registry))
    for role in ROLES:
        _collect(
            roster,
            hooks,
            role.hook,
            lambda owner, role=role: ObjectTaker(owner, role, roster.registry),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )


def _add_specs(manager: pluggy.PluginManager, record: PluginRecord) -> None:
    """Add the hook specs that a plugin brings, before any plugin is registered."""
    name = "eudai_add_hookspecs"
    if manager.parse_hookimpl_opts(record.plugin, name) is None:
        return
    bring = getattr(record.plugin, name)
    if inspect.iscoroutinefunction(bring):
        raise PluginError(f"{name} is called synchronously: write `def` instead of `async def`")
    namespace = bring()
    if namespace is None:
        return
    if not isinstance(namespace, ModuleType | type):
        raise PluginError(f"{name} must return a module or class, not {type(namespace).__name__}")
    specs = specs_in(namespace)
    if not specs:
        raise PluginError(f"{name} returned {namespace.__name__}, which has no hook spec")
    for hook, spec in specs.items():
        check_spec(hook, spec)
        if hasattr(manager.hook, hook):
            raise PluginError(f"the hook {hook} is there already")
    manager.add_hookspecs(namespace)


def _register(manager: pluggy.PluginManager, record: PluginRecord) -> None:
    record.hooks = check_hooks(manager, record.plugin)
    manager.register(record.plugin, record.name)
    try:
        # Our own check has said it better already; this is the net below it.
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(str(error)) from error


def _collect(roster: Roster, hooks: HookRunner, hook: str, make: Callable[[str], _Taker]) -> None:
    for one in hooks.in_load_order(hook):
        record = roster.record(one.owner)
        if record.alive:
            roster.attempt(record, hook, partial(_call, one, make(one.owner)))


def _call(one: Implementation, taker: _Taker) -> None:
    arguments: dict[str, Any] = {"register": taker}
    try:
        one.bound(arguments)()
    finally:
        taker.close()
