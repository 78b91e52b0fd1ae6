"""Running hooks: our own dispatch over the implementations that pluggy keeps, in pluggy's order.

The order is: ``tryfirst``, then the last registered first, then ``trylast``. Every implementation has an owner, the
time limit of its hook and a fault counter; see CallGuard for what protects the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pluggy

from eudai_core.errors import PluginFault
from eudai_core.hooks import HookMode, HookRule, rule_of
from eudai_core.model import Decision
from eudai_core.plugins.calls import CallGuard
from eudai_core.plugins.notices import Notices
from eudai_core.plugins.results import check_decision, result_check

__all__ = ["HookRunner", "Implementation"]


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's implementation of a hook."""

    owner: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]

    def bound(self, values: Mapping[str, Any]) -> Callable[[], Any]:
        """Return a call of it with those of the values that it asks for."""
        chosen = [values[name] for name in self.arguments]
        return lambda: self.function(*chosen)


class HookRunner:
    """Runs the hooks of one plugin host."""

    def __init__(self, manager: pluggy.PluginManager, guard: CallGuard) -> None:
        """Run the hooks of ``manager`` under ``guard``."""
        self._manager = manager
        self._guard = guard
        self.notices = Notices(guard)

    async def first(self, hook: str, /, **arguments: Any) -> Any:
        """Ask the implementations one after the other and return the first answer that is not None, or None.

        One that faults is skipped and counted.
        """
        rule = self._rule(hook, HookMode.FIRST, arguments)
        check = result_check(hook, arguments)
        for one in self._implementations(hook):
            try:
                answer = await self._guard.call(one.owner, hook, one.bound(arguments), limit=rule.timeout, check=check)
            except PluginFault:
                continue
            if answer is not None:
                return answer
        return None

    async def pipeline(self, hook: str, value: str, /, **arguments: Any) -> Any:
        """Give the argument named ``value`` from one implementation to the next, and return what comes out.

        None means no change. One that faults is skipped and counted.
        """
        rule = self._rule(hook, HookMode.PIPELINE, arguments)
        for one in self._implementations(hook):
            check = result_check(hook, arguments)
            try:
                answer = await self._guard.call(one.owner, hook, one.bound(arguments), limit=rule.timeout, check=check)
            except PluginFault:
                continue
            if answer is not None:
                arguments = {**arguments, value: answer}
        return arguments[value]

    async def vote(self, hook: str, /, **arguments: Any) -> bool:
        """Ask all implementations; True when one at least allows, none denies and none faults.

        No quarantine is made here: a broken authoriser goes on denying.
        """
        rule = self._rule(hook, HookMode.VOTE, arguments)
        calls = [self._ballot(hook, one, arguments, rule.timeout) for one in self._implementations(hook)]
        votes = [await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls)
        return Decision.ALLOW in votes and Decision.DENY not in votes

    def notify(self, hook: str, /, **arguments: Any) -> None:
        """Tell all implementations, each from its own bounded queue; returns at once and never raises for them.

        Call it after commit, inside a running event loop.
        """
        rule = self._rule(hook, HookMode.NOTIFY, arguments)
        for one in self._implementations(hook):
            self.notices.put(one.owner, hook, one.bound(arguments), rule.timeout)

    def in_load_order(self, hook: str) -> Sequence[Implementation]:
        """Return the implementations of a hook in the order in which their plugins were loaded."""
        order = [name for name, _ in self._manager.list_name_plugin()]
        return sorted(self._implementations(hook), key=lambda one: order.index(one.owner))

    async def aclose(self) -> None:
        """End what runs in the background."""
        await self.notices.aclose()
        await self._guard.aclose()

    async def _ballot(
        self, hook: str, one: Implementation, arguments: Mapping[str, Any], limit: float | None
    ) -> Decision | None:
        try:
            vote: Decision | None = await self._guard.call(
                one.owner, hook, one.bound(arguments), limit=limit, skip=False, check=check_decision
            )
        except PluginFault:
            return Decision.DENY
        return vote

    def _rule(self, hook: str, mode: HookMode, arguments: Mapping[str, Any]) -> HookRule:
        """Return the hook's rule, once it is sure that the caller asks for the right thing.

        Raises:
            LookupError: there is no such hook.
            TypeError: the hook has another mode, or other arguments.
        """
        caller = getattr(self._manager.hook, hook, None)
        if caller is None or caller.spec is None:
            raise LookupError(f"there is no hook {hook}")
        rule = rule_of(caller.spec.function)
        if rule.mode is not mode:
            raise TypeError(f"{hook} is run as {rule.mode}, not as {mode}")
        if set(arguments) != set(caller.spec.argnames):
            raise TypeError(f"{hook} takes {', '.join(caller.spec.argnames)}; given were {', '.join(arguments)}")
        return rule

    def _implementations(self, hook: str) -> list[Implementation]:
        caller = getattr(self._manager.hook, hook, None)
        if caller is None:
            return []
        return [
            Implementation(one.plugin_name, one.function, tuple(one.argnames))
            for one in reversed(caller.get_hookimpls())  # pluggy keeps them in reverse
        ]
