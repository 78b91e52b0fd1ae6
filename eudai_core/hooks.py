"""Markers for hook specs and hook implementations.

pluggy keeps the lists of implementations; how a hook's implementations are run is ours, because pluggy knows
nothing of coroutines (docs/adr/0004-own-hook-runner.md). Each spec therefore says its mode:

``sync``      called at composition, one plugin after the other, before any resource exists
``first``     coroutines, in order, until one returns something that is not None
``pipeline``  coroutines, in order, each given the value the one before returned
``vote``      coroutines, all asked; a DENY or a fault denies, no ALLOW denies
``notify``    coroutines, concurrently, after the fact; a fault never reaches the caller
``lifespan``  async context managers, entered in load order, left in reverse
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

import pluggy

__all__ = ["PROJECT", "HookMode", "HookRule", "hookimpl", "hookspec", "rule_of"]

PROJECT: Final = "eudai"
"""The pluggy project name; every hook's name begins with it and an underscore."""

_RULE: Final = "eudai_hook_rule"
_F = TypeVar("_F", bound=Callable[..., Any])
_mark: Final = pluggy.HookspecMarker(PROJECT)

hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's implementation of a hook: ``@hookimpl``, with ``tryfirst`` or ``trylast`` where order matters."""


class HookMode(StrEnum):
    """How the implementations of one hook are run."""

    SYNC = "sync"
    FIRST = "first"
    PIPELINE = "pipeline"
    VOTE = "vote"
    NOTIFY = "notify"
    LIFESPAN = "lifespan"


@dataclass(frozen=True, slots=True)
class HookRule:
    """The mode of a hook, and the time limit of one implementation in seconds (None: no limit)."""

    mode: HookMode
    timeout: float | None


def hookspec(mode: HookMode, timeout: float | None = None) -> Callable[[_F], _F]:
    """Mark a function as the spec of a hook that is run in ``mode``."""

    def mark(function: _F) -> _F:
        setattr(function, _RULE, HookRule(mode, timeout))
        return _mark(function)

    return mark


def rule_of(spec: Callable[..., Any]) -> HookRule:
    """Return the rule that :func:`hookspec` stored.

    Raises:
        LookupError: ``spec`` was not marked by :func:`hookspec`.
    """
    rule = getattr(spec, _RULE, None)
    if not isinstance(rule, HookRule):
        raise LookupError(f"{spec!r} is no eudai hook spec: mark it with eudai_core.hooks.hookspec")
    return rule
