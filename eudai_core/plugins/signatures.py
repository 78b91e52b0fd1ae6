"""What a plugin's hooks must look like; checked before they are registered, so that every fault has an owner.

pluggy alone would keep silent about a misspelt hook, drop keyword-only parameters, never fill one that has a default
(up to 1.6), and take a coroutine for a value.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Final

import pluggy

from eudai_core import API_VERSION
from eudai_core.errors import PluginError
from eudai_core.hooks import PROJECT, HookMode, HookRule, rule_of

__all__ = ["check_api", "check_hooks", "check_spec", "specs_in"]

_PREFIX: Final = PROJECT + "_"
_ATTRIBUTE: Final = "eudai_api"
_PLAIN: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_COROUTINES: Final = (HookMode.FIRST, HookMode.PIPELINE, HookMode.VOTE, HookMode.NOTIFY)


def check_api(plugin: object) -> None:
    """Check the API version that a plugin was written for.

    Raises:
        PluginError: it says none, another major one, or a newer minor one.
    """
    version = getattr(plugin, _ATTRIBUTE, None)
    if not (isinstance(version, tuple) and len(version) == 2 and all(type(part) is int for part in version)):
        raise PluginError(f"it must say {_ATTRIBUTE} = {API_VERSION}, the API version that it was written for")
    wanted, ours = ".".join(map(str, version)), ".".join(map(str, API_VERSION))
    if version[0] != API_VERSION[0]:
        raise PluginError(
            f"it was written for plugin API {wanted}, and this server has {ours}: install a version that fits"
        )
    if version[1] > API_VERSION[1]:
        raise PluginError(f"it needs plugin API {wanted}, and this server has {ours}: upgrade eudai")


def check_hooks(manager: pluggy.PluginManager, plugin: object) -> tuple[str, ...]:
    """Check all hook implementations of a plugin and return the names of their hooks.

    Raises:
        PluginError: one is misspelt, unmarked, a wrapper, or has another signature than its spec.
    """
    names = []
    for attribute, function in _functions(plugin):
        options = manager.parse_hookimpl_opts(plugin, attribute)
        if options is None:
            if attribute.startswith(_PREFIX):
                raise PluginError(f"{attribute} is not marked: put @hookimpl (eudai_core.hooks) in front of it")
            continue
        name = options.get("specname") or attribute
        if options.get("wrapper") or options.get("hookwrapper"):
            raise PluginError(f"{name} is a wrapper: wrappers never see what a coroutine does and are not taken")
        spec = _spec_of(manager, name)
        if spec is None:
            if options.get("optionalhook"):
                continue
            raise PluginError(f"there is no hook {name}{_suggestion(name, _known(manager))}")
        _check_signature(name, spec, function)
        _check_kind(name, rule_of(spec), function)
        names.append(name)
    return tuple(names)


def specs_in(namespace: ModuleType | type) -> dict[str, Callable[..., Any]]:
    """Return the hook specs of a module or class, by name."""
    return {
        name: value
        for name, value in vars(namespace).items()
        if name.startswith(_PREFIX) and inspect.isfunction(value) and hasattr(value, PROJECT + "_spec")
    }


def check_spec(name: str, spec: Callable[..., Any]) -> None:
    """Check one hook spec.

    Raises:
        PluginError: it has no mode, has parameters that pluggy would lose, or is (no) coroutine against its mode.
    """
    try:
        rule = rule_of(spec)
    except LookupError as error:
        raise PluginError(str(error)) from error
    for parameter in inspect.signature(spec).parameters.values():
        if parameter.kind not in _PLAIN or parameter.default is not parameter.empty:
            raise PluginError(f"hook spec {name}: parameter {parameter.name} must be plain, without a default")
    if inspect.iscoroutinefunction(spec) != (rule.mode in _COROUTINES):
        word = "" if rule.mode in _COROUTINES else "not "
        raise PluginError(f"hook spec {name} must {word}be a coroutine function: its mode is {rule.mode}")


def _functions(plugin: object) -> Iterator[tuple[str, Callable[..., Any]]]:
    for attribute in dir(plugin):
        if attribute.startswith("__"):
            continue
        # Looked at without being fetched: a property would run.
        static = inspect.getattr_static(plugin, attribute, None)
        if isinstance(static, staticmethod | classmethod) or inspect.isroutine(static):
            yield attribute, getattr(plugin, attribute)


def _check_signature(name: str, spec: Callable[..., Any], function: Callable[..., Any]) -> None:
    allowed = list(inspect.signature(spec).parameters)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in _PLAIN:
            raise PluginError(f"{name}: parameter {parameter.name} must be a plain positional one")
        if parameter.name not in allowed:
            hint = _suggestion(parameter.name, allowed)
            raise PluginError(f"{name} has no argument {parameter.name}{hint}; it has: {', '.join(allowed) or 'none'}")
        if parameter.default is not parameter.empty:
            raise PluginError(f"{name}: parameter {parameter.name} must have no default, or it never gets a value")


def _check_kind(name: str, rule: HookRule, function: Callable[..., Any]) -> None:
    if rule.mode in _COROUTINES:
        if not inspect.iscoroutinefunction(function):
            raise PluginError(f"{name} must be a coroutine function: write `async def`")
    elif rule.mode is HookMode.LIFESPAN and inspect.isasyncgenfunction(function):
        raise PluginError(f"{name} must return a context manager: put @contextlib.asynccontextmanager under @hookimpl")
    elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(f"{name} is called synchronously: write `def` instead of `async def`")


def _spec_of(manager: pluggy.PluginManager, name: str) -> Callable[..., Any] | None:
    caller = getattr(manager.hook, name, None)
    return None if caller is None or caller.spec is None else caller.spec.function


def _known(manager: pluggy.PluginManager) -> list[str]:
    return [name for name in vars(manager.hook) if _spec_of(manager, name) is not None]


def _suggestion(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f": did you mean {close[0]}?" if close else ""
