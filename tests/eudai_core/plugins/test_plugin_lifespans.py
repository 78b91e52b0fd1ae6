from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from eudai_core.errors import ConfigError
from eudai_core.hooks import hookimpl
from eudai_core.model import PluginState, PluginStatus
from eudai_core.plugins import PluginHost
from support.plugins.house import HousePlugin, NoJobs

Compose = Callable[..., PluginHost]
APP = object()


def living(name: str, lifespan: Callable[[Any], Any]) -> tuple[str, object]:
    def implementation(app: Any) -> Any:
        return lifespan(app)

    members = {"eudai_api": (0, 1), "eudai_lifespan": staticmethod(hookimpl(implementation))}
    return name, type(name, (), members)()


def noting(name: str, journal: list[str]) -> tuple[str, object]:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        journal.append(f"+{name}")
        yield
        journal.append(f"-{name}")

    return living(name, lifespan)


def state(host: PluginHost, name: str) -> PluginState:
    return next(state for state in host.states() if state.name == name)


async def built(compose: Compose, *plugins: object) -> PluginHost:
    host = compose(HousePlugin(), *plugins)
    await host.build(jobs=NoJobs())
    return host


async def test_entered_in_load_order_and_left_in_reverse(compose: Compose) -> None:
    journal: list[str] = []
    host = await built(compose, noting("a", journal), noting("b", journal), noting("c", journal))
    async with host.lifespans(APP):
        assert journal == ["+a", "+b", "+c"]
    assert journal == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_the_application_is_handed_over(compose: Compose) -> None:
    seen: list[Any] = []
    host = await built(compose, living("none", seen.append))
    async with host.lifespans(APP):
        assert seen == [APP]
    assert state(host, "none").status is PluginStatus.LOADED


async def test_one_that_fails_to_start_fails_alone(compose: Compose) -> None:
    @asynccontextmanager
    async def broken(app: Any) -> AsyncIterator[None]:
        raise OSError("no port")
        yield

    journal: list[str] = []
    host = await built(
        compose, noting("a", journal), living("bad", broken), living("odd", lambda app: 7), noting("b", journal)
    )
    async with host.lifespans(APP):
        assert state(host, "bad").status is PluginStatus.FAILED
        assert state(host, "bad").detail == "its lifespan raised OSError: no port"
        assert state(host, "odd").detail == "its lifespan is a int, not an async context manager"
    assert journal == ["+a", "+b", "-b", "-a"]


async def test_one_that_fails_to_stop_does_not_keep_the_others(compose: Compose) -> None:
    @asynccontextmanager
    async def broken(app: Any) -> AsyncIterator[None]:
        yield
        raise OSError("cannot let go")

    journal: list[str] = []
    host = await built(compose, noting("a", journal), living("bad", broken))
    async with host.lifespans(APP):
        pass
    assert journal == ["+a", "-a"]
    assert state(host, "bad").faults == {"eudai_lifespan": 1}


async def test_one_with_a_required_role_stops_the_start(compose: Compose) -> None:
    class House(HousePlugin):
        @hookimpl
        @asynccontextmanager
        async def eudai_lifespan(self, app: Any) -> AsyncIterator[None]:
            raise OSError("no port")
            yield

    journal: list[str] = []
    host = compose(noting("a", journal), House())
    await host.build(jobs=NoJobs())
    with pytest.raises(ConfigError, match="House, which holds the storage, failed"):
        async with host.lifespans(APP):
            raise AssertionError("the application ran")
    assert journal == ["+a", "-a"]


async def test_a_task_group_that_breaks_ends_its_own_lifespan_only(compose: Compose) -> None:
    fail, failed = asyncio.Event(), asyncio.Event()

    async def worker() -> None:
        await fail.wait()
        raise RuntimeError("worker died")

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(worker())
                yield
        finally:
            failed.set()

    host = await built(compose, living("workers", lifespan))
    async with host.lifespans(APP):
        assert state(host, "workers").status is PluginStatus.LOADED
        fail.set()
        await failed.wait()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert state(host, "workers").status is PluginStatus.DEGRADED


async def test_an_error_of_the_application_comes_through(compose: Compose) -> None:
    @asynccontextmanager
    async def swallowing(app: Any) -> AsyncIterator[None]:
        with suppress(BaseException):
            yield

    host = await built(compose, living("swallows", swallowing))
    with pytest.raises(KeyError):
        async with host.lifespans(APP):
            raise KeyError


async def test_cancelling_the_start_leaves_what_was_entered(compose: Compose) -> None:
    waiting = asyncio.Event()

    @asynccontextmanager
    async def slow(app: Any) -> AsyncIterator[None]:
        waiting.set()
        await asyncio.Event().wait()
        yield

    journal: list[str] = []
    host = await built(compose, noting("a", journal), living("slow", slow))

    async def start() -> None:
        async with host.lifespans(APP):
            raise AssertionError("the application ran")

    task = asyncio.create_task(start())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert journal == ["+a", "-a"]


async def test_start_and_stop_twice(compose: Compose) -> None:
    journal: list[str] = []
    host = await built(compose, noting("a", journal))
    for _ in range(2):
        async with host.lifespans(APP):
            pass
    assert journal == ["+a", "-a", "+a", "-a"]


async def test_time_limits(compose: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eudai_core.plugins.lifespans.ENTER_SECONDS", 0.05)
    monkeypatch.setattr("eudai_core.plugins.lifespans.LEAVE_SECONDS", 0.05)

    @asynccontextmanager
    async def never_starts(app: Any) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    @asynccontextmanager
    async def never_stops(app: Any) -> AsyncIterator[None]:
        yield
        await asyncio.Event().wait()

    host = await built(compose, living("never-starts", never_starts), living("never-stops", never_stops))
    async with host.lifespans(APP):
        assert state(host, "never-starts").detail == "its lifespan was not entered within 0.05 s"
        assert state(host, "never-stops").status is PluginStatus.LOADED
    assert state(host, "never-stops").faults == {"eudai_lifespan": 1}


async def test_one_that_ends_at_once_or_cancels_itself_has_failed(compose: Compose) -> None:
    @asynccontextmanager
    async def cancels(app: Any) -> AsyncIterator[None]:
        raise asyncio.CancelledError
        yield

    @asynccontextmanager
    async def exits(app: Any) -> AsyncIterator[None]:
        raise SystemExit(1)
        yield

    host = await built(compose, living("cancels", cancels), living("exits", exits))
    async with host.lifespans(APP):
        assert state(host, "cancels").detail == "its lifespan cancelled itself"
        assert state(host, "exits").detail == "its lifespan called sys.exit"
