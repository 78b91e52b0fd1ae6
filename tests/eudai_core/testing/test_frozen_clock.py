"""The clock that stands still."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from eudai_core.testing import FrozenClock


async def test_both_dials_move_together() -> None:
    clock = FrozenClock()
    now, monotonic = clock.now(), clock.monotonic()
    clock.advance(2.5)
    assert clock.now() - now == timedelta(seconds=2.5)
    assert clock.monotonic() - monotonic == 2.5


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock = FrozenClock()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 3))
        group.create_task(sleeper("early", 1))
        group.create_task(sleeper("early too", 1))
        await clock.sleeping(3)
        clock.advance(0.9)
        await asyncio.sleep(0)
        assert woken == []
        clock.advance(5)
    assert woken == ["early", "early too", "late"]
    assert clock.sleepers == 0


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FrozenClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.sleeping()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.sleepers == 0
    clock.advance(1)


async def test_waiting_for_a_number_of_sleepers() -> None:
    clock = FrozenClock()
    tasks = [asyncio.create_task(clock.sleep(1)) for _ in range(3)]
    await clock.sleeping(2)
    one = asyncio.create_task(clock.sleeping(1, exactly=True))
    await asyncio.sleep(0)
    assert not one.done()
    for task in tasks[:2]:
        task.cancel()
    await one
    clock.advance(1)
    await tasks[2]


async def test_no_time_is_no_sleep_and_time_does_not_go_back() -> None:
    clock = FrozenClock()
    await clock.sleep(0)
    await clock.sleep(-1)
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1)
