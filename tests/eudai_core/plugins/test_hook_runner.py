from __future__ import annotations

import asyncio
import gc
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from eudai_core.hooks import HookMode, hookimpl, hookspec
from eudai_core.model import Decision, PluginStatus
from eudai_core.plugins import PluginHost
from eudai_core.testing.clock import FrozenClock

Compose = Callable[..., PluginHost]
SHORT = 0.05


def specs() -> types.ModuleType:
    """A namespace whose specs have no ``self``, as those of a module."""
    namespace = types.ModuleType("specs")

    @hookspec(HookMode.FIRST, timeout=SHORT)
    async def eudai_try_first(question: str) -> str | None: ...

    @hookspec(HookMode.PIPELINE, timeout=SHORT)
    async def eudai_try_pipeline(text: str, style: str) -> str | None: ...

    @hookspec(HookMode.VOTE, timeout=SHORT)
    async def eudai_try_vote(what: str) -> Decision | None: ...

    @hookspec(HookMode.NOTIFY, timeout=SHORT)
    async def eudai_try_notify(event: str) -> None: ...

    for spec in (eudai_try_first, eudai_try_pipeline, eudai_try_vote, eudai_try_notify):
        setattr(namespace, spec.__name__, spec)
    return namespace


class Bringer:
    eudai_api = (0, 1)

    @hookimpl
    def eudai_add_hookspecs(self) -> types.ModuleType:
        return specs()


def plugin(name: str, **hooks: Callable[..., Any]) -> tuple[str, object]:
    """A plugin whose hooks are the given functions, written without ``self``."""
    members = {hook: staticmethod(hookimpl(function)) for hook, function in hooks.items()}
    return name, type(name, (), {"eudai_api": (0, 1), **members})()


async def answer(question: str) -> str:
    return f"answer to {question}"


async def no_opinion(question: str) -> None:
    return None


async def raising(question: str) -> str:
    raise RuntimeError("broken inside")


async def hanging(question: str) -> str:
    await asyncio.Event().wait()
    return "never"


async def allow(what: str) -> Decision:
    return Decision.ALLOW


async def deny(what: str) -> Decision:
    return Decision.DENY


async def abstain(what: str) -> None:
    return None


def faults(host: PluginHost, name: str) -> dict[str, int]:
    return dict(next(state.faults for state in host.states() if state.name == name))


def status(host: PluginHost, name: str) -> PluginStatus:
    return next(state.status for state in host.states() if state.name == name)


async def test_the_first_answer_that_is_not_none_holds(compose: Compose) -> None:
    asked: list[str] = []

    async def noted(question: str) -> str:
        asked.append(question)
        return "late"

    host = compose(
        Bringer(),
        plugin("registered-first", eudai_try_first=noted),
        plugin("answers", eudai_try_first=answer),
        plugin("silent", eudai_try_first=no_opinion),
    )
    assert await host.hooks.first("eudai_try_first", question="x") == "answer to x"
    assert asked == []  # the last registered was asked first, and the search ended with the answer


async def test_tryfirst_and_trylast_move_an_implementation(compose: Compose) -> None:
    order: list[str] = []

    def noting(name: str, *, tryfirst: bool = False, trylast: bool = False) -> tuple[str, object]:
        async def note(question: str) -> None:
            order.append(name)

        return name, type(
            name,
            (),
            {"eudai_api": (0, 1), "eudai_try_first": staticmethod(hookimpl(note, tryfirst=tryfirst, trylast=trylast))},
        )()

    host = compose(
        Bringer(), noting("early", tryfirst=True), noting("plain"), noting("late", trylast=True), noting("x")
    )
    assert await host.hooks.first("eudai_try_first", question="?") is None
    assert order == ["early", "x", "plain", "late"]


@pytest.mark.parametrize("broken", [raising, hanging])
async def test_a_fault_is_skipped_and_counted(compose: Compose, broken: Callable[..., Any]) -> None:
    host = compose(Bringer(), plugin("good", eudai_try_first=answer), plugin("bad", eudai_try_first=broken))
    assert await host.hooks.first("eudai_try_first", question="x") == "answer to x"
    assert faults(host, "bad") == {"eudai_try_first": 1}
    assert faults(host, "good") == {}


async def test_sys_exit_in_a_plugin_does_not_end_the_server(compose: Compose) -> None:
    async def leaving(question: str) -> str:
        sys.exit(1)

    host = compose(Bringer(), plugin("bad", eudai_try_first=leaving))
    assert await host.hooks.first("eudai_try_first", question="x") is None
    assert faults(host, "bad") == {"eudai_try_first": 1}


async def test_a_plugin_that_swallows_its_cancellation_is_left_behind(compose: Compose) -> None:
    release = asyncio.Event()

    async def stubborn(question: str) -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "at last"

    host = compose(Bringer(), plugin("good", eudai_try_first=answer), plugin("stubborn", eudai_try_first=stubborn))
    assert await host.hooks.first("eudai_try_first", question="x") == "answer to x"
    assert faults(host, "stubborn") == {"eudai_try_first": 1}
    release.set()


async def test_a_plugin_that_cancels_itself_is_no_cancelled_caller(compose: Compose) -> None:
    async def suicidal(question: str) -> str:
        raise asyncio.CancelledError

    host = compose(Bringer(), plugin("good", eudai_try_first=answer), plugin("bad", eudai_try_first=suicidal))
    assert await host.hooks.first("eudai_try_first", question="x") == "answer to x"
    assert faults(host, "bad") == {"eudai_try_first": 1}


async def test_the_callers_cancellation_passes_through_and_is_no_fault(compose: Compose) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def long_work(question: str) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    host = compose(Bringer(), plugin("slow", eudai_try_first=long_work))
    task = asyncio.create_task(host.hooks.first("eudai_try_first", question="x"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    assert faults(host, "slow") == {}


async def test_a_pipeline_hands_on_what_each_returns(compose: Compose) -> None:
    async def shout(text: str) -> str:
        return text.upper()

    async def sign(text: str, style: str) -> str:
        return f"{text}{style}"

    async def keep(text: str) -> None:
        return None

    async def fail(text: str) -> str:
        raise ValueError

    host = compose(
        Bringer(),
        plugin("last", eudai_try_pipeline=shout),
        plugin("third", eudai_try_pipeline=fail),
        plugin("second", eudai_try_pipeline=keep),
        plugin("first", eudai_try_pipeline=sign),
    )
    assert await host.hooks.pipeline("eudai_try_pipeline", "text", text="a", style="b") == "AB"
    assert faults(host, "third") == {"eudai_try_pipeline": 1}


async def fail_vote(what: str) -> Decision:
    raise RuntimeError


async def nonsense_vote(what: str) -> bool:
    return True


async def hanging_vote(what: str) -> Decision:
    await asyncio.Event().wait()
    return Decision.ALLOW


@pytest.mark.parametrize(
    ("voters", "allowed"),
    [
        ([], False),
        ([abstain], False),
        ([allow], True),
        ([allow, abstain], True),
        ([allow, deny], False),
        ([allow, fail_vote], False),
        ([allow, nonsense_vote], False),
        ([allow, hanging_vote], False),
    ],
)
async def test_a_vote_fails_closed(compose: Compose, voters: list[Callable[..., Any]], allowed: bool) -> None:
    host = compose(Bringer(), *(plugin(f"v{at}", eudai_try_vote=vote) for at, vote in enumerate(voters)))
    assert await host.hooks.vote("eudai_try_vote", what="x") is allowed


async def test_a_broken_authoriser_is_never_skipped(compose: Compose) -> None:
    host = compose(Bringer(), plugin("allows", eudai_try_vote=allow), plugin("broken", eudai_try_vote=fail_vote))
    for _ in range(12):
        assert await host.hooks.vote("eudai_try_vote", what="x") is False
    assert faults(host, "broken") == {"eudai_try_vote": 12}
    assert status(host, "broken") is PluginStatus.DEGRADED


async def test_notices_come_in_order_and_a_fault_reaches_nobody(compose: Compose) -> None:
    heard: list[str] = []

    async def hear(event: str) -> None:
        heard.append(event)

    async def break_down(event: str) -> None:
        raise RuntimeError(event)

    host = compose(Bringer(), plugin("hears", eudai_try_notify=hear), plugin("breaks", eudai_try_notify=break_down))
    for event in ("a", "b", "c"):
        host.hooks.notify("eudai_try_notify", event=event)
    assert heard == []  # nobody was waited for
    await host.hooks.notices.settled()
    assert heard == ["a", "b", "c"]
    assert faults(host, "breaks") == {"eudai_try_notify": 3}


async def test_a_hanging_listener_delays_nobody_else(compose: Compose) -> None:
    heard = asyncio.Event()

    async def hear(event: str) -> None:
        heard.set()

    async def hang(event: str) -> None:
        await asyncio.Event().wait()

    host = compose(Bringer(), plugin("hears", eudai_try_notify=hear), plugin("hangs", eudai_try_notify=hang))
    host.hooks.notify("eudai_try_notify", event="a")
    await heard.wait()
    assert faults(host, "hangs") == {}  # the other's time limit has not even run out
    await host.hooks.notices.settled()
    assert faults(host, "hangs") == {"eudai_try_notify": 1}


async def test_a_full_queue_of_notices_is_the_listeners_fault(compose: Compose) -> None:
    async def hang(event: str) -> None:
        await asyncio.Event().wait()

    host = compose(Bringer(), plugin("hangs", eudai_try_notify=hang))
    for number in range(1002):
        host.hooks.notify("eudai_try_notify", event=str(number))
    assert faults(host, "hangs")["eudai_try_notify"] >= 1
    await host.hooks.notices.aclose(grace=0)


async def test_a_plugin_is_quarantined_and_tried_again(compose: Compose, clock: FrozenClock) -> None:
    calls = 0
    healthy = False

    async def moody(question: str) -> str:
        nonlocal calls
        calls += 1
        if not healthy:
            raise RuntimeError("moody")
        return "fine"

    host = compose(Bringer(), plugin("moody", eudai_try_first=moody))
    for _ in range(7):
        assert await host.hooks.first("eudai_try_first", question="x") is None
    assert calls == 5  # the last two were not even tried
    assert status(host, "moody") is PluginStatus.DEGRADED

    clock.advance(60)
    assert await host.hooks.first("eudai_try_first", question="x") is None
    assert await host.hooks.first("eudai_try_first", question="x") is None
    assert calls == 6  # one trial, which failed

    healthy = True
    clock.advance(60)
    assert await host.hooks.first("eudai_try_first", question="x") == "fine"
    assert status(host, "moody") is PluginStatus.LOADED


async def test_a_step_that_blocks_the_loop_is_blamed(compose: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    async def blocking(question: str) -> str:
        nonlocal now
        await asyncio.sleep(0)
        now += 0.2  # what time.sleep or a long computation would do to the timer
        return "done"

    async def patient(question: str) -> None:
        nonlocal now
        now += 0.06
        await asyncio.sleep(0)
        now += 0.06  # two short steps are no long one

    host = compose(Bringer(), plugin("blocks", eudai_try_first=blocking), plugin("patient", eudai_try_first=patient))
    monkeypatch.setattr(host._guard, "_timer", lambda: now)
    assert await host.hooks.first("eudai_try_first", question="x") == "done"
    assert faults(host, "blocks") == {"blocked": 1}
    assert faults(host, "patient") == {}


async def test_nothing_is_left_unawaited(compose: Compose, recwarn: pytest.WarningsRecorder) -> None:
    host = compose(
        Bringer(),
        plugin("a", eudai_try_first=answer, eudai_try_vote=allow),
        plugin("b", eudai_try_first=raising, eudai_try_vote=fail_vote),
        plugin("c", eudai_try_first=hanging, eudai_try_vote=hanging_vote),
    )
    await host.hooks.first("eudai_try_first", question="x")
    await host.hooks.vote("eudai_try_vote", what="x")
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


async def test_a_caller_that_asks_wrongly_is_told(compose: Compose) -> None:
    host = compose(Bringer())
    with pytest.raises(LookupError, match="no hook eudai_try_nothing"):
        await host.hooks.first("eudai_try_nothing")
    with pytest.raises(TypeError, match="takes question"):
        await host.hooks.first("eudai_try_first", query="x")
    with pytest.raises(TypeError, match="run as vote, not as first"):
        await host.hooks.first("eudai_try_vote", what="x")


async def test_closing_drops_what_a_hanging_listener_did_not_take(
    compose: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(event: str) -> None:
        await asyncio.Event().wait()

    host = compose(Bringer(), plugin("hangs", eudai_try_notify=hang))
    for event in ("a", "b", "c"):
        host.hooks.notify("eudai_try_notify", event=event)
    await host.hooks.notices.aclose(grace=0)
    assert "Notices were dropped at the end: hangs did not take them in time." in caplog.text
    host.hooks.notify("eudai_try_notify", event="late")
    await host.hooks.notices.aclose(grace=0)
    assert faults(host, "hangs") == {}
