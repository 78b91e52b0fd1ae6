"""The conformance suite of event buses, for pytest (with pytest-asyncio).

Subclass it in a test module and override its fixtures::

    class TestMyBus(EventBusSuite):
        @pytest.fixture
        async def bus(self):
            bus = MyBus(...)
            yield bus
            await bus.aclose()

``other`` is a second bus of the same deployment, made as another process would make it, and ``outage`` takes away what
the two meet over. What a bus cannot do is named in ``lacks``, with the reason that the skipped tests will show. New
tests come with minor releases only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, ClassVar, NoReturn, Protocol

import pytest

from eudai_core.contracts import MISSED, EventBus
from eudai_core.testing.llm_checks import BrokenContract

__all__ = ["BusOutage", "EventBusSuite"]

_CAN_LACK = frozenset({"processes", "outage"})
Message = Mapping[str, Any]
Messages = AsyncIterator[Message]


class BusOutage(Protocol):
    """Takes away the server, or the network, that a bus needs to reach other processes, and gives it back."""

    async def begin(self) -> None:
        """Take it away; return when it is gone."""
        ...

    async def end(self) -> None:
        """Give it back."""
        ...


@pytest.mark.asyncio
class EventBusSuite:
    """Checks a bus against :class:`eudai_core.contracts.EventBus`."""

    lacks: ClassVar[Mapping[str, str]] = {}
    """What the bus cannot do, with reasons: ``processes`` (reach another process), ``outage`` (lose its server)."""

    too_many: ClassVar[int] = 5000
    """More messages than the bus keeps for one subscriber."""

    patience: ClassVar[float] = 20.0
    """Seconds that a message, or the end of an outage, may take to arrive."""

    @pytest.fixture
    def bus(self) -> EventBus:
        """Return the bus under test; override this."""
        self._missing("bus")

    @pytest.fixture
    def other(self) -> EventBus:
        """Return a second bus of the same deployment; override this unless ``processes`` is lacking."""
        self._needs("processes")
        self._missing("other")

    @pytest.fixture
    def outage(self) -> BusOutage:
        """Return what takes the server away; override this unless ``outage`` is lacking."""
        self._needs("outage")
        self._missing("outage")

    async def test_every_subscriber_in_order(self, bus: EventBus) -> None:
        """Every subscriber of a topic is given every message, in order, and nobody else is."""
        _must(isinstance(bus, EventBus), "the bus has every member of EventBus")
        async with bus.subscribe("a") as first, bus.subscribe("a") as second, bus.subscribe("b") as apart:
            sent = [{"n": number} for number in range(50)]
            for message in sent:
                await bus.publish("a", message)
            await bus.publish("b", {"n": "apart"})
            for messages in (first, second):
                _same(await self._next(messages, 50), sent, "a subscriber is given every message, in order")
            _same(await self._next(apart), [{"n": "apart"}], "topics are apart")

    async def test_from_entering_on(self, bus: EventBus) -> None:
        """A subscriber is given what is published from entering on, and nothing after leaving."""
        await bus.publish("a", {"n": "early"})
        async with bus.subscribe("a") as messages:
            await bus.publish("a", {"n": "now"})
            _same(await self._next(messages), [{"n": "now"}], "a subscription begins when it is entered")
        await bus.publish("a", {"n": "late"})
        _same(await self._rest(messages), [], "a subscription ends when it is left")

    async def test_waiting_reader_is_woken(self, bus: EventBus) -> None:
        """A reader that waits is woken by the next message."""
        async with bus.subscribe("a") as messages:
            waiting = asyncio.ensure_future(self._next(messages))
            await asyncio.sleep(0)
            _must(not waiting.done(), "a reader waits for a message")
            await bus.publish("a", {"n": 1})
            _same(await waiting, [{"n": 1}], "a reader that waits is woken")

    async def test_message_as_it_was(self, bus: EventBus) -> None:
        """JSON values of every kind arrive as they were, and equal messages arrive as often as they were sent."""
        message = {"text": "é \0 \U0001f600 '\"\\", "number": 2**53, "none": None, "list": [True, 1.5, {"a": []}]}
        async with bus.subscribe("a.b:c/d é") as messages:
            for _ in range(3):
                await bus.publish("a.b:c/d é", message)
            _same(await self._next(messages, 3), [message] * 3, "equal messages each arrive")

    async def test_slow_reader_loses_the_oldest(self, bus: EventBus) -> None:
        """A reader that does not read loses the oldest messages, and is told so first."""
        async with bus.subscribe("a") as messages:
            for number in range(self.too_many):
                await bus.publish("a", {"n": number})
            (first,) = await self._next(messages)
            _must(first is MISSED, "a slow reader is told first that messages were lost")
            kept = await self._until(messages, lambda message: message["n"] == self.too_many - 1)
            numbers = [message["n"] for message in kept]
            begin = numbers[0] if numbers else self.too_many - 1
            _must(begin > 0, "a slow reader loses the oldest messages")
            _same(numbers, list(range(begin, self.too_many - 1)), "a slow reader loses no others")

    async def test_closing_ends_subscriptions(self, bus: EventBus) -> None:
        """Closing ends subscriptions, after what they have not read; afterwards nothing is told, and nothing raises."""
        async with bus.subscribe("a") as messages, bus.subscribe("b") as idle:
            waiting = asyncio.ensure_future(self._rest(idle))
            await bus.publish("a", {"n": 1})
            await bus.aclose()
            _same(await self._rest(messages), [{"n": 1}], "a subscription ends after what is unread")
            _same(await waiting, [], "a reader that waits is woken by the end")
        await bus.publish("a", {"n": 2})
        async with bus.subscribe("a") as late:
            _same(await self._rest(late), [], "a closed bus tells nothing")
        await bus.aclose()

    async def test_other_process_is_told_in_order_and_once(self, bus: EventBus, other: EventBus) -> None:
        """What one process publishes reaches subscribers in both, in order, each message once."""
        async with bus.subscribe("a") as mine, other.subscribe("a") as theirs, other.subscribe("b") as apart:
            sent: list[Message] = [{"n": number % 100} for number in range(200)]
            for message in sent:
                await bus.publish("a", message)
            await bus.publish("a", {"n": "end"})
            await bus.publish("b", {"n": "apart"})
            for messages in (mine, theirs):
                before = await self._until(messages, lambda message: message["n"] == "end")
                _same(before, sent, "both processes are told everything, in order")
            _same(await self._next(apart), [{"n": "apart"}], "topics are apart in other processes")
            await other.publish("a", {"n": "back"})
            for messages in (mine, theirs):
                # Had a message come twice, it would stand before this one.
                _same(await self._next(messages), [{"n": "back"}], "no message comes twice")

    async def test_closing_one_process_leaves_the_other(self, bus: EventBus, other: EventBus) -> None:
        """A process that closes its bus sends what it published, and takes nothing from the others."""
        async with other.subscribe("a") as messages:
            await bus.publish("a", {"n": "last"})
            await bus.aclose()
            await other.publish("a", {"n": "still"})
            both = await self._next(messages, 2)
            _must({"n": "last"} in both, "what was published before closing is sent")
            _must({"n": "still"} in both, "the other bus goes on")

    async def test_outage_is_survived_and_told(self, bus: EventBus, other: EventBus, outage: BusOutage) -> None:
        """Publishing does not raise in an outage; subscribers live through it and are told that they missed some."""
        async with bus.subscribe("a") as mine, other.subscribe("a") as theirs:
            await bus.publish("a", {"n": "before"})
            for messages in (mine, theirs):
                _same(await self._next(messages), [{"n": "before"}], "both processes are told")
            await outage.begin()
            await asyncio.wait_for(bus.publish("a", {"n": "in between"}), 1)
            async with bus.subscribe("a") as late:
                await outage.end()
                for messages in (mine, theirs, late):
                    await self._until(messages, lambda message: message is MISSED)
                await bus.publish("a", {"n": "here"})
                await other.publish("a", {"n": "there"})
                for messages in (mine, theirs, late):
                    expected = {"here", "there"}
                    while expected:
                        expected -= {message.get("n") for message in await self._next(messages)}

    async def _next(self, messages: Messages, count: int = 1) -> list[Message]:
        async with asyncio.timeout(self.patience):
            return [await anext(messages) for _ in range(count)]

    async def _until(self, messages: Messages, last: Callable[[Message], bool]) -> list[Message]:
        """Return the messages before the first that is ``last``."""
        seen: list[Message] = []
        async with asyncio.timeout(self.patience):
            while not last(message := await anext(messages)):
                seen.append(message)
        return seen

    async def _rest(self, messages: Messages) -> list[Message]:
        async with asyncio.timeout(self.patience):
            return [message async for message in messages]

    def _needs(self, ability: str) -> None:
        unknown = set(self.lacks) - _CAN_LACK
        if unknown:
            pytest.fail(f"`lacks` names {min(unknown)!r}; a bus may lack {', '.join(sorted(_CAN_LACK))}")
        if ability in self.lacks:
            pytest.skip(f"lacks {ability}: {self.lacks[ability]}")

    def _missing(self, fixture: str) -> NoReturn:
        pytest.fail(f"{type(self).__name__} must override the fixture `{fixture}`")


def _must(kept: bool, promise: str) -> None:
    if not kept:
        raise BrokenContract(promise)


def _same(found: object, wanted: object, promise: str) -> None:
    _must(found == wanted, f"{promise}; expected {wanted!r}, found {found!r}")
