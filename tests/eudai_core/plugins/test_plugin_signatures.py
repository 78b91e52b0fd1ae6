from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from eudai_core import API_VERSION
from eudai_core.hooks import hookimpl
from eudai_core.model import PluginState, PluginStatus
from eudai_core.plugins import PluginHost
from support.plugins.house import HousePlugin

Compose = Callable[..., PluginHost]


class Base:
    eudai_api: Any = API_VERSION


class Misspelt(Base):
    @hookimpl
    def eudai_on_evnt(self, event: Any) -> None: ...


class Unmarked(Base):
    async def eudai_on_event(self, event: Any) -> None: ...


class WrongArgument(Base):
    @hookimpl
    async def eudai_on_event(self, evnt: Any) -> None: ...


class DefaultArgument(Base):
    @hookimpl
    async def eudai_on_event(self, event: Any = None) -> None: ...


class KeywordOnly(Base):
    @hookimpl
    async def eudai_on_event(self, *, event: Any) -> None: ...


class Variadic(Base):
    @hookimpl
    async def eudai_on_event(self, **event: Any) -> None: ...


class SyncForAsync(Base):
    @hookimpl
    def eudai_on_event(self, event: Any) -> None: ...


class AsyncForSync(Base):
    @hookimpl
    async def eudai_register_jobs(self, register: Any) -> None: ...


class AsyncSpecs(Base):
    @hookimpl
    async def eudai_add_hookspecs(self) -> None: ...


class GeneratorLifespan(Base):
    @hookimpl
    async def eudai_lifespan(self, app: Any) -> AsyncIterator[None]:
        yield


class Wrapper(Base):
    @hookimpl(wrapper=True)
    def eudai_register_jobs(self, register: Any) -> Any:
        return (yield)


class OldWrapper(Base):
    @hookimpl(hookwrapper=True)
    def eudai_register_jobs(self, register: Any) -> Any:
        yield


class NoApi:
    pass


class OddApi:
    eudai_api = "0.1"


class NewerMinor:
    eudai_api = (API_VERSION[0], API_VERSION[1] + 1)


class OtherMajor:
    eudai_api = (API_VERSION[0] + 1, 0)


BROKEN = [
    (Misspelt, "there is no hook eudai_on_evnt: did you mean eudai_on_event?"),
    (Unmarked, "eudai_on_event is not marked: put @hookimpl"),
    (WrongArgument, "eudai_on_event has no argument evnt: did you mean event?; it has: event"),
    (DefaultArgument, "parameter event must have no default"),
    (KeywordOnly, "parameter event must be a plain positional one"),
    (Variadic, "parameter event must be a plain positional one"),
    (SyncForAsync, "eudai_on_event must be a coroutine function: write `async def`"),
    (AsyncForSync, "eudai_register_jobs is called synchronously: write `def`"),
    (AsyncSpecs, "eudai_add_hookspecs is called synchronously"),
    (GeneratorLifespan, "put @contextlib.asynccontextmanager under @hookimpl"),
    (Wrapper, "eudai_register_jobs is a wrapper"),
    (OldWrapper, "eudai_register_jobs is a wrapper"),
    (NoApi, "it must say eudai_api = (0, 1)"),
    (OddApi, "it must say eudai_api = (0, 1)"),
    (NewerMinor, "it needs plugin API 0.2, and this server has 0.1: upgrade eudai"),
    (OtherMajor, "it was written for plugin API 1.0, and this server has 0.1"),
]


def state(host: PluginHost, name: str) -> PluginState:
    return next(state for state in host.states() if state.name == name)


@pytest.mark.parametrize(("kind", "reason"), BROKEN, ids=[kind.__name__ for kind, _ in BROKEN])
async def test_a_plugin_that_breaks_a_rule_fails_alone(compose: Compose, kind: type, reason: str) -> None:
    host = compose(("house", HousePlugin()), ("broken", kind()))
    assert state(host, "house").status is PluginStatus.LOADED
    broken = state(host, "broken")
    assert broken.status is PluginStatus.FAILED
    assert re.search(re.escape(reason), broken.detail), broken.detail


async def test_what_is_allowed(compose: Compose) -> None:
    class Fine(Base):
        @property
        def eudai_trap(self) -> str:
            raise AssertionError("a property was run")

        @hookimpl(tryfirst=True)
        async def eudai_on_event(self) -> None: ...

        @hookimpl(specname="eudai_register_jobs")
        def under_another_name(self, register: Any) -> None: ...

        @hookimpl(optionalhook=True)
        def eudai_register_blueprints(self, register: Any) -> None: ...

        @hookimpl
        @asynccontextmanager
        async def eudai_lifespan(self, app: Any) -> AsyncIterator[None]:
            yield

    host = compose(("fine", Fine()))
    fine = state(host, "fine")
    assert fine.status is PluginStatus.LOADED
    assert sorted(fine.hooks) == ["eudai_lifespan", "eudai_on_event", "eudai_register_jobs"]


async def test_a_lifespan_may_return_a_context_manager(compose: Compose) -> None:
    class Plain(Base):
        @hookimpl
        def eudai_lifespan(self, app: Any) -> AbstractAsyncContextManager[None] | None:
            return None

    assert state(compose(("plain", Plain())), "plain").status is PluginStatus.LOADED
