from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from eudai_core.contracts import PluginContext
from eudai_core.errors import BackendUnavailable, ConfigError, InvalidCredentials, PluginFault, PluginNotReady
from eudai_core.hooks import hookimpl
from eudai_core.model import MigrationSource, PluginState, PluginStatus
from eudai_core.plugins import (
    BLOB_STORES,
    CONTEXT_SOURCES,
    EVENT_BUSES,
    LLM_BACKENDS,
    SEARCH_INDEXES,
    STORAGE,
    STREAM_FILTERS,
    PluginHost,
)
from eudai_core.settings import setting
from eudai_core.testing.clock import FrozenClock
from support.plugins.house import HousePlugin, Inert, NoJobs

Compose = Callable[..., PluginHost]


def registering(name: str, **objects: Callable[[Any], object]) -> tuple[str, object]:
    """A plugin whose hooks ``eudai_register_<role>`` are the given functions of a registrar."""

    def hook(function: Callable[[Any], object]) -> Any:
        def implementation(register: Any) -> None:
            function(register)

        return staticmethod(hookimpl(implementation))

    members = {f"eudai_register_{role}": hook(function) for role, function in objects.items()}
    return name, type(name, (), {"eudai_api": (0, 1), **members})()


def inert(name: str, closed: list[str] | None = None) -> Callable[[PluginContext], Any]:
    return lambda context: Inert(name, [] if closed is None else closed)


def state(host: PluginHost, name: str) -> PluginState:
    return next(state for state in host.states() if state.name == name)


async def build(host: PluginHost) -> None:
    await host.build(jobs=NoJobs())


async def test_objects_are_built_storage_first_and_closed_in_reverse(compose: Compose) -> None:
    house = HousePlugin()
    host = compose(house)
    assert house.built == []  # composing makes nothing
    await build(host)
    assert house.built == ["storage", "bus", "budgeter"]
    assert host.one(STORAGE).name == "storage"  # type: ignore[attr-defined]
    await host.aclose()
    assert house.closed == ["budgeter", "bus", "storage"]


async def test_a_factory_may_be_late_a_coroutine_or_a_function(compose: Compose) -> None:
    async def coroutine(context: PluginContext) -> Any:
        return Inert("coroutine", [])

    host = compose(
        HousePlugin(),
        registering(
            "many",
            context_sources=lambda register: [
                register("late", "support.plugins.good:source"),
                register("coroutine", coroutine),
                register("plain", inert("plain")),
            ],
        ),
    )
    await build(host)
    assert list(host.all(CONTEXT_SOURCES)) == ["late", "coroutine", "plain"]
    assert host.owner(CONTEXT_SOURCES, "late") == "many"


async def test_a_taken_name_names_both_plugins(compose: Compose) -> None:
    twice = [
        registering(name, llm_backends=lambda register: register("echo", inert("echo"))) for name in ("one", "two")
    ]
    host = compose(HousePlugin(), *twice)
    await build(host)
    assert state(host, "one").status is PluginStatus.LOADED
    assert state(host, "two").status is PluginStatus.FAILED
    assert state(host, "two").detail == "the LLM backend echo of two is taken: one registered that name before"
    assert host.owner(LLM_BACKENDS, "echo") == "one"


async def test_everything_of_a_plugin_that_fails_is_withdrawn(compose: Compose) -> None:
    def broken(register: Any) -> None:
        raise ValueError("no")

    host = compose(
        HousePlugin(),
        registering(
            "half",
            migrations=lambda register: register(MigrationSource("half", "half_migrations")),
            context_sources=lambda register: register("mine", inert("mine")),
            jobs=broken,
        ),
    )
    await build(host)
    assert state(host, "half").detail == "eudai_register_jobs raised ValueError: no"
    assert host.all(CONTEXT_SOURCES) == {}
    assert host.migrations() == []


async def test_a_failing_factory_fails_its_plugin_and_closes_what_it_built(compose: Compose) -> None:
    closed: list[str] = []

    def broken(context: PluginContext) -> Any:
        raise OSError("no socket")

    host = compose(
        HousePlugin(),
        registering(
            "half",
            llm_backends=lambda register: register("good", inert("good", closed)),
            context_sources=lambda register: register("bad", broken),
        ),
    )
    await build(host)
    assert state(host, "half").status is PluginStatus.FAILED
    assert state(host, "half").detail == "the factory of the context source bad raised OSError: no socket"
    assert host.all(LLM_BACKENDS) == {}
    assert closed == ["good"]


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        (lambda context: object(), "the LLM backend x (object) lacks aclose, health, models, stream"),
        ("support.plugins.good:nothing", "has no attribute 'nothing'"),
        ("not_there_at_all:x", "No module named 'not_there_at_all'"),
    ],
)
async def test_nonsense_from_a_factory_is_refused(compose: Compose, factory: Any, reason: str) -> None:
    host = compose(HousePlugin(), registering("odd", llm_backends=lambda register: register("x", factory)))
    await build(host)
    assert reason in state(host, "odd").detail


@pytest.mark.parametrize(
    ("name", "factory", "reason"),
    [
        ("", inert("x"), "a LLM backend needs a name"),
        ("x", "no colon", "write 'pkg.mod:attr'"),
        ("x", 7, "needs a factory, not int"),
    ],
)
async def test_nonsense_at_registration_is_refused(compose: Compose, name: str, factory: Any, reason: str) -> None:
    host = compose(registering("odd", llm_backends=lambda register: register(name, factory)))
    assert reason in state(host, "odd").detail


async def test_a_registrar_is_closed_when_its_hook_returns(compose: Compose) -> None:
    kept: list[Any] = []
    host = compose(HousePlugin(), registering("late", llm_backends=kept.append))
    await build(host)
    with pytest.raises(Exception, match="late registers too late"):
        kept[0]("echo", inert("echo"))
    assert host.all(LLM_BACKENDS) == {}


async def test_without_a_required_role_nothing_starts(compose: Compose) -> None:
    host = compose(registering("only", event_buses=lambda register: register("local", inert("bus"))))
    with pytest.raises(ConfigError, match=r"There is no storage called sql. Registered: none. .*EUDAI_STORAGE"):
        await build(host)


async def test_a_failing_plugin_with_a_required_role_stops_the_start(compose: Compose) -> None:
    house = HousePlugin()

    def broken(context: PluginContext) -> Any:
        raise OSError("the disk is gone")

    storage = registering("store", storage=lambda register: register("other", broken))
    host = compose(house, storage, EUDAI_STORAGE="other")
    with pytest.raises(ConfigError, match=r"plugin store, which holds the storage, failed: .*the disk is gone"):
        await build(host)
    assert state(host, "store").status is PluginStatus.FAILED


async def test_what_was_built_is_closed_when_the_start_fails(compose: Compose) -> None:
    house = HousePlugin()
    host = compose(house, EUDAI_CONTEXT_BUDGETER="missing")
    with pytest.raises(ConfigError, match=r"no context budgeter called missing. Registered: shares \(HousePlugin\)"):
        await build(host)

    house, broken = HousePlugin(), registering("b", context_budgeters=lambda register: register("b", lambda context: 1))
    host = compose(house, broken, EUDAI_CONTEXT_BUDGETER="b")
    with pytest.raises(ConfigError):
        await build(host)
    assert house.closed == ["bus", "storage"]


async def test_an_absent_choice_is_an_error_only_when_the_operator_made_it(compose: Compose) -> None:
    host = compose(HousePlugin())
    await build(host)
    assert host.find(SEARCH_INDEXES) is None
    with pytest.raises(ConfigError, match="There is no search index"):
        host.one(SEARCH_INDEXES)
    with pytest.raises(ConfigError, match="There is no search index called mine"):
        await build(compose(HousePlugin(), EUDAI_SEARCH_INDEX="mine"))


async def test_a_list_keeps_the_operators_order(compose: Compose) -> None:
    filters = registering(
        "filters", stream_filters=lambda register: [register(name, inert(name)) for name in ("a", "b", "c")]
    )
    host = compose(HousePlugin(), filters, EUDAI_STREAM_FILTERS="c, a")
    await build(host)
    assert list(host.all(STREAM_FILTERS)) == ["c", "a"]


async def test_an_object_that_is_not_ready_fills_its_place_later(compose: Compose, clock: FrozenClock) -> None:
    tries = 0

    async def shy(context: PluginContext) -> Any:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise PluginNotReady("the model server is starting", retry_after=10)
        return Inert("shy", [])

    host = compose(HousePlugin(), registering("shy", llm_backends=lambda register: register("shy", shy)))
    await build(host)
    assert host.all(LLM_BACKENDS) == {}
    assert state(host, "shy").status is PluginStatus.NOT_READY
    assert state(host, "shy").detail == "LLM backend shy: the model server is starting"

    await clock.sleeping()
    clock.advance(9.9)
    assert tries == 1
    clock.advance(0.1)
    await clock.sleeping()
    assert tries == 2
    clock.advance(10)
    await asyncio.gather(*host._objects._retries)
    assert list(host.all(LLM_BACKENDS)) == ["shy"]
    assert state(host, "shy").status is PluginStatus.LOADED


async def test_a_required_object_that_is_not_ready_is_waited_for(compose: Compose, clock: FrozenClock) -> None:
    tries = 0

    def slow(context: PluginContext) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise PluginNotReady("the bus is late")
        return Inert("bus", [])

    bus = registering("bus", event_buses=lambda register: register("slow", slow))
    host = compose(HousePlugin(), bus, EUDAI_EVENT_BUS="slow")
    building = asyncio.create_task(build(host))
    await clock.sleeping()
    clock.advance(1)
    await building
    assert host.one(EVENT_BUSES) is not None


async def test_a_retry_that_fails_for_good_fails_the_plugin(compose: Compose, clock: FrozenClock) -> None:
    answers = [PluginNotReady("soon"), ValueError("never")]

    def moody(context: PluginContext) -> Any:
        raise answers.pop(0)

    host = compose(HousePlugin(), registering("moody", llm_backends=lambda register: register("m", moody)))
    await build(host)
    await clock.sleeping()
    clock.advance(1)
    await asyncio.gather(*host._objects._retries)
    assert state(host, "moody").status is PluginStatus.FAILED


@dataclass(frozen=True, slots=True)
class Mine:
    size: int = setting(3, "How large.")


async def test_what_a_factory_sees(compose: Compose, clock: FrozenClock) -> None:
    house = HousePlugin()
    seen: list[PluginContext] = []

    def source(context: PluginContext) -> Any:
        seen.append(context)
        return Inert("source", [])

    host = compose(
        house,
        registering(
            "mine",
            settings=lambda register: register("mine", Mine),
            context_sources=lambda register: register("s", source),
            llm_backends=lambda register: register("echo", inert("echo")),
        ),
        EUDAI_MINE_SIZE="7",
    )
    await build(host)
    (context,) = seen
    assert context.settings(Mine) == Mine(7)
    assert context.storage is host.one(STORAGE)
    assert list(context.backends) == ["echo"]
    assert context.clock is clock
    assert await context.run_blocking(threading.current_thread) is not threading.current_thread()
    with pytest.raises(ConfigError, match="There is no blob store"):
        await context.blobs.delete("x")
    # The storage's own factory was called before the storage was there: what it got works by now.
    assert house.contexts[0].storage.description is not None


async def test_two_hosts_side_by_side_share_nothing(compose: Compose) -> None:
    one, two = HousePlugin(), HousePlugin()
    first, second = compose(one), compose(two, EUDAI_PORT="9")
    await build(first)
    assert (one.built, two.built) == (["storage", "bus", "budgeter"], [])
    await build(second)
    assert first.one(STORAGE) is not second.one(STORAGE)
    await first.aclose()
    assert two.closed == []


async def test_guard_turns_faults_into_plugin_faults(compose: Compose) -> None:
    host = compose(HousePlugin())

    async def broken() -> str:
        raise KeyError("secret-value")

    async def hanging() -> str:
        await asyncio.Event().wait()
        return "never"

    def no_coroutine() -> Any:
        return "text"

    for call in (broken, hanging, no_coroutine):
        with pytest.raises(PluginFault) as caught:
            await host.guard("HousePlugin", "models", call, timeout=0.05)
        assert "secret-value" not in caught.value.detail
    assert state(host, "HousePlugin").faults == {"models": 3}


@pytest.mark.parametrize("error", [InvalidCredentials("expired"), BackendUnavailable("no answer")])
async def test_guard_lets_errors_of_the_contract_pass(compose: Compose, error: Exception) -> None:
    host = compose(HousePlugin())

    async def call() -> str:
        raise error

    for _ in range(6):
        with pytest.raises(type(error)) as caught:
            await host.guard("HousePlugin", "models", call, timeout=None)
        assert caught.value is error
    assert state(host, "HousePlugin").faults == {}


async def test_guard_refuses_a_quarantined_call(compose: Compose, clock: FrozenClock) -> None:
    host = compose(HousePlugin())
    calls = 0

    async def broken() -> str:
        nonlocal calls
        calls += 1
        raise ValueError

    async def fine() -> str:
        return "fine"

    for _ in range(6):
        with pytest.raises(PluginFault):
            await host.guard("HousePlugin", "models", broken, timeout=None)
    assert calls == 5
    assert await host.guard("HousePlugin", "stream", fine, timeout=None) == "fine"  # another call is not concerned
    assert state(host, "HousePlugin").status is PluginStatus.DEGRADED
    clock.advance(60)
    assert await host.guard("HousePlugin", "models", fine, timeout=None) == "fine"
    assert state(host, "HousePlugin").status is PluginStatus.LOADED


async def test_collect_gives_each_plugin_a_registrar_of_its_own(compose: Compose) -> None:
    def broken(register: Any) -> None:
        raise ValueError("bad blueprint")

    host = compose(
        HousePlugin(),
        registering("one", jobs=lambda register: register.append("one's")),
        registering("two", jobs=broken),
        registering("three", jobs=lambda register: register.append("three's")),
    )
    states = {item.name: item for item in host.states()}
    assert states["one"].status is PluginStatus.FAILED  # an ordinary registrar is no list
    host = compose(("bringer", Bringer()), ("one", Greets("one")), ("two", Greets("")), ("three", Greets("three")))
    collected = host.collect("eudai_register_greetings", lambda owner: [owner])
    assert collected == {"one": ["one", "hello from one"], "three": ["three", "hello from three"]}
    assert state(host, "two").status is PluginStatus.DEGRADED
    assert state(host, "two").faults == {"eudai_register_greetings": 1}


class Bringer:
    eudai_api = (0, 1)

    @hookimpl
    def eudai_add_hookspecs(self) -> Any:
        import types

        from eudai_core.hooks import HookMode, hookspec

        @hookspec(HookMode.SYNC)
        def eudai_register_greetings(register: Any) -> None: ...

        specs = types.ModuleType("specs")
        specs.eudai_register_greetings = eudai_register_greetings  # type: ignore[attr-defined]
        return specs


class Greets:
    eudai_api = (0, 1)

    def __init__(self, name: str) -> None:
        self.name = name

    @hookimpl
    def eudai_register_greetings(self, register: Any) -> None:
        if not self.name:
            raise ValueError("nobody to greet")
        register.append(f"hello from {self.name}")


async def test_specs_that_are_there_already_are_refused(compose: Compose) -> None:
    host = compose(("one", Bringer()), ("two", Bringer()))
    assert state(host, "two").detail == "the hook eudai_register_greetings is there already"
    assert state(host, "one").status is PluginStatus.LOADED


async def test_a_wrong_setting_of_a_plugin_stops_the_start(compose: Compose) -> None:
    mine = registering("mine", settings=lambda register: register("mine", Mine))
    with pytest.raises(ConfigError) as caught:
        compose(HousePlugin(), mine, EUDAI_MINE_SIZE="big", EUDAI_MINE_SIZES="3")
    assert "EUDAI_MINE_SIZE (the environment): expected a whole number, got 'big'" in caught.value.detail
    assert (
        "EUDAI_MINE_SIZES (the environment) is no known setting. Did you mean EUDAI_MINE_SIZE?" in caught.value.detail
    )


async def test_keys_of_a_plugin_that_is_not_loaded_are_no_mistakes(compose: Compose) -> None:
    class Broken:
        eudai_api = (9, 9)

    compose(HousePlugin(), ("broken", Broken()), EUDAI_FARAWAY_THING="x")
    with pytest.raises(ConfigError, match="Did you mean EUDAI_PORT"):
        compose(HousePlugin(), ("broken", Broken()), EUDAI_PROT="1")
    with pytest.raises(ConfigError, match="EUDAI_FARAWAY_THING"):
        compose(HousePlugin(), EUDAI_FARAWAY_THING="x")


async def test_closing_goes_on_when_an_object_does_not_close(compose: Compose) -> None:
    class Stuck(Inert):
        async def aclose(self) -> None:
            raise RuntimeError("stuck")

    house = HousePlugin()
    stuck = registering("stuck", blob_stores=lambda register: register("local", lambda context: Stuck("x", [])))
    host = compose(house, stuck)
    await build(host)
    assert host.find(BLOB_STORES) is not None
    await host.aclose()
    await host.aclose()
    assert house.closed == ["budgeter", "bus", "storage"]
