"""The event bus inside one process."""

from __future__ import annotations

import asyncio

from eudai_core.contracts import EventBus
from eudai_sql.bus import LocalEventBus


async def test_every_subscriber_of_the_topic_is_told_in_order() -> None:
    bus = LocalEventBus()
    kept: EventBus = bus
    assert isinstance(kept, EventBus)
    await bus.publish("a", {"n": 0})
    async with bus.subscribe("a") as first, bus.subscribe("a") as second, bus.subscribe("b") as other:
        await bus.publish("a", {"n": 1})
        await bus.publish("a", {"n": 2})
        await bus.publish("b", {"n": 3})
        for messages in (first, second):
            assert [await anext(messages), await anext(messages)] == [{"n": 1}, {"n": 2}]
        assert await anext(other) == {"n": 3}


async def test_waiting_subscriber_is_woken() -> None:
    bus = LocalEventBus()
    async with bus.subscribe("a") as messages:
        waiting = asyncio.ensure_future(anext(messages))
        await asyncio.sleep(0)
        assert not waiting.done()
        await bus.publish("a", {"n": 1})
        assert await waiting == {"n": 1}


async def test_slow_reader_loses_the_oldest() -> None:
    bus = LocalEventBus(queue_size=2)
    async with bus.subscribe("a") as messages:
        for number in range(5):
            await bus.publish("a", {"n": number})
        assert [await anext(messages), await anext(messages)] == [{"n": 3}, {"n": 4}]


async def test_closing_ends_subscriptions_after_what_is_left() -> None:
    bus = LocalEventBus()
    async with bus.subscribe("a") as messages, bus.subscribe("a") as waiting:
        end = asyncio.ensure_future(anext(waiting, None))
        await asyncio.sleep(0)
        await bus.publish("a", {"n": 1})
        await bus.aclose()
        assert [message async for message in messages] == [{"n": 1}]
        assert await end == {"n": 1}
    async with bus.subscribe("a") as late:
        assert [message async for message in late] == []


async def test_left_subscription_is_forgotten() -> None:
    bus = LocalEventBus()
    async with bus.subscribe("a") as messages:
        pass
    await bus.publish("a", {"n": 1})
    assert [message async for message in messages] == []
    assert bus._topics == {}
