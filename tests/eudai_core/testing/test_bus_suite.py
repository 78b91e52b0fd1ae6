"""The suite of event buses finds buses that break a promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from eudai_core.contracts import MISSED
from eudai_core.testing import EventBusSuite
from eudai_core.testing.llm_checks import BrokenContract

Message = Mapping[str, Any]
END: Message = {"end": True}


class TinyBus:
    """A bus without frills, of which the others break something."""

    carries_payload = False
    room = 10

    def __init__(self) -> None:
        self.queues: list[tuple[str, list[Message], asyncio.Event]] = []
        self.closed = False

    async def publish(self, topic: str, message: Message) -> None:
        for name, queue, changed in self.queues:
            if name == topic:
                self.put(queue, message)
                changed.set()

    def put(self, queue: list[Message], message: Message) -> None:
        queue.append(message)
        if len(queue) > self.room:
            del queue[: len(queue) - self.room]
            queue.insert(0, MISSED)

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[AsyncIterator[Message]]:
        queue: list[Message] = [END] if self.closed else []
        changed = asyncio.Event()
        entry = (topic, queue, changed)
        self.queues.append(entry)
        try:
            yield self.read(queue, changed)
        finally:
            self.queues.remove(entry)
            queue.append(END)

    async def read(self, queue: list[Message], changed: asyncio.Event) -> AsyncIterator[Message]:
        while True:
            while not queue:
                changed.clear()
                await changed.wait()
            if (message := queue.pop(0)) is END:
                return
            yield message

    async def aclose(self) -> None:
        self.closed = True
        for _, queue, changed in self.queues:
            queue.append(END)
            changed.set()


class Roomy(TinyBus):
    room = 100


class Backwards(TinyBus):
    def put(self, queue: list[Message], message: Message) -> None:
        queue.insert(0, message)


class Twice(TinyBus):
    def put(self, queue: list[Message], message: Message) -> None:
        queue += [message, message]


class OneTopic(Roomy):
    async def publish(self, topic: str, message: Message) -> None:
        for _, queue, changed in self.queues:
            self.put(queue, message)
            changed.set()


class Silent(TinyBus):
    """Loses messages of a slow reader without a word."""

    def put(self, queue: list[Message], message: Message) -> None:
        queue.append(message)
        del queue[: -self.room]


class Endless(TinyBus):
    """Keeps everything for a reader that never comes."""

    room = 10**9


class Deaf(TinyBus):
    """Lets a subscriber wait after its end."""

    async def aclose(self) -> None:
        self.closed = True


class Suite(EventBusSuite):
    """Called by hand, so not collected."""

    __test__ = False
    too_many = 300
    patience = 0.5


async def test_a_bus_that_keeps_its_promises_passes() -> None:
    suite = Suite()
    await suite.test_every_subscriber_in_order(Roomy())
    await suite.test_from_entering_on(Roomy())
    await suite.test_waiting_reader_is_woken(Roomy())
    await suite.test_message_as_it_was(Roomy())
    await suite.test_slow_reader_loses_the_oldest(Roomy())
    await suite.test_closing_ends_subscriptions(Roomy())


@pytest.mark.parametrize("bus", [Backwards, Twice, OneTopic])
async def test_wrong_deliveries_are_found(bus: type[TinyBus]) -> None:
    with pytest.raises(BrokenContract):
        await Suite().test_every_subscriber_in_order(bus())


@pytest.mark.parametrize("bus", [Silent, Endless])
async def test_a_slow_reader_that_is_not_told_is_found(bus: type[TinyBus]) -> None:
    with pytest.raises(BrokenContract, match="slow reader is told first"):
        await Suite().test_slow_reader_loses_the_oldest(bus())


async def test_a_subscription_without_an_end_is_found() -> None:
    with pytest.raises(TimeoutError):
        await Suite().test_closing_ends_subscriptions(Deaf())


async def test_processes_that_do_not_meet_are_found() -> None:
    with pytest.raises(TimeoutError):
        await Suite().test_other_process_is_told_in_order_and_once(Endless(), Endless())
