"""Calling a plugin's coroutine so that nothing it does can hurt the caller."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final, NoReturn, TypeVar

from eudai_core.errors import EudaiError, PluginError, PluginFault
from eudai_core.plugins.faults import FaultLedger

__all__ = ["BLOCKED_SECONDS", "CANCEL_GRACE_SECONDS", "CallGuard", "is_answer"]

T = TypeVar("T")
BLOCKED_SECONDS: Final = 0.1
"""A single step of a coroutine that takes longer held up everybody else."""
CANCEL_GRACE_SECONDS: Final = 0.2
"""How long a cancelled coroutine may clean up before it is left to itself."""
_log = logging.getLogger(__name__)


class _Broken(Exception):  # noqa: N818 -- never leaves this module
    """Why a call is a fault."""


def is_answer(error: BaseException) -> bool:
    """Tell whether an exception is part of a contract, such as InvalidCredentials, rather than a fault."""
    return isinstance(error, EudaiError) and not isinstance(error, PluginError)


def _never(error: BaseException) -> bool:
    return False


class CallGuard:
    """Runs calls of plugins under a time limit, counts their faults and blames them for blocking.

    Each call runs in a task of its own, so that a plugin that swallows its cancellation, or cancels itself, is not
    mistaken for the caller. When the caller is cancelled, so is the call, and CancelledError passes through.
    """

    def __init__(
        self,
        ledger: FaultLedger,
        *,
        timer: Callable[[], float] = time.perf_counter,
        grace: float = CANCEL_GRACE_SECONDS,
    ) -> None:
        """Keep what all calls share; ``timer`` measures steps, in seconds."""
        self.ledger = ledger
        self._timer = timer
        self._grace = grace
        self._orphans: set[asyncio.Task[Any]] = set()

    async def call(
        self,
        owner: str,
        what: str,
        call: Callable[[], Awaitable[T]],
        *,
        limit: float | None,
        passes: Callable[[BaseException], bool] = _never,
        skip: bool = True,
        check: Callable[[T], str] | None = None,
    ) -> T:
        """Await ``call()`` on behalf of ``owner``; ``what`` names the hook or contract call.

        Args:
            owner: the plugin's name.
            what: the name under which faults are counted.
            call: makes the awaitable.
            limit: seconds that it may take, or None.
            passes: tells which exceptions go to the caller unchanged and are no faults.
            skip: whether a quarantined call is refused.
            check: says what is wrong with a result, or an empty text.

        Raises:
            PluginFault: the plugin raised, hung, returned nonsense, or is quarantined in this call.
        """
        if skip and not self.ledger.admits(owner, what):
            raise PluginFault(f"{owner} is skipped in {what}: it failed too often and will be tried again later.")
        try:
            result = await self._run(owner, what, call, limit)
        except _Broken as broken:
            self._fault(owner, what, str(broken), broken.__cause__)
        except asyncio.CancelledError:
            self.ledger.abandoned(owner, what)
            raise
        except Exception as error:  # a plugin may raise anything
            if passes(error):
                self.ledger.succeeded(owner, what)
                raise
            self._fault(owner, what, f"it raised {type(error).__name__}", error)
        if check is not None and (wrong := check(result)):
            self._fault(owner, what, wrong, None)
        self.ledger.succeeded(owner, what)
        return result

    async def aclose(self) -> None:
        """Cancel once more what never ended, and give it a last moment."""
        for task in self._orphans:
            task.cancel()
        if self._orphans:
            await asyncio.wait(set(self._orphans), timeout=self._grace)

    def _fault(self, owner: str, what: str, reason: str, error: BaseException | None) -> NoReturn:
        self.ledger.faulted(owner, what, reason if error is None else f"{reason}: {error}".removesuffix(": "))
        _log.warning("Plugin %s failed in %s: %s.", owner, what, reason, exc_info=error)
        raise PluginFault(f"{owner} failed in {what}: {reason}.") from error

    async def _run(self, owner: str, what: str, call: Callable[[], Awaitable[T]], limit: float | None) -> T:
        awaitable = call()
        if not inspect.isawaitable(awaitable):
            raise _Broken(f"it returned {type(awaitable).__name__} instead of an awaitable")

        def report(seconds: float) -> None:
            self.ledger.blocked(owner, what, seconds)

        coroutine = awaitable if isinstance(awaitable, Coroutine) else _awaited(awaitable)
        task = asyncio.create_task(_driven(coroutine, self._timer, report), name=f"{owner}: {what}")
        return await self._outcome(task, limit)

    async def _outcome(self, task: asyncio.Task[T], limit: float | None) -> T:
        try:
            done, _ = await asyncio.wait({task}, timeout=limit)
        except asyncio.CancelledError:
            await self._end(task)
            raise
        if not done:
            await self._end(task)
            raise _Broken(f"it took longer than {limit:g} s")
        if task.cancelled():
            raise _Broken("it cancelled itself")
        return task.result()

    async def _end(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task, and let go of it when it does not end in time."""
        self._orphans.add(task)
        task.add_done_callback(self._forget)
        task.cancel()
        await asyncio.wait({task}, timeout=self._grace)
        if not task.done():
            _log.warning("%s does not end although it was cancelled; it is left to itself.", task.get_name())

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._orphans.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it as lost


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _driven(coroutine: Coroutine[Any, Any, T], timer: Callable[[], float], report: Callable[[float], None]) -> T:
    return await _steps(coroutine, timer, report)


@types.coroutine
def _steps(
    coroutine: Coroutine[Any, Any, T], timer: Callable[[], float], report: Callable[[float], None]
) -> Generator[Any, Any, T]:
    """Drive a coroutine step by step, as ``await`` does, and report each step that blocked the loop."""
    step, value = coroutine.send, None
    while True:
        started = timer()
        try:
            yielded = step(value)
        except StopIteration as stop:
            result: T = stop.value
            return result
        except SystemExit as error:
            # sys.exit in a plugin must not end the server; KeyboardInterrupt is the operator's and goes on.
            raise _Broken("it called sys.exit") from error
        finally:
            seconds = timer() - started
            if seconds > BLOCKED_SECONDS:
                report(seconds)
        try:
            step, value = coroutine.send, (yield yielded)
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:  # thrown in by the loop, cancellation above all: it is the coroutine's
            step, value = coroutine.throw, error
