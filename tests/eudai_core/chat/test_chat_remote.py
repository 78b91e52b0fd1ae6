"""What processes tell each other of conversations: ids, in few and small messages, and nothing when alone."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from eudai_core.chat.remote import TOPIC, Remote
from eudai_core.ids import new_id
from eudai_sql.bus import LocalEventBus
from support.chatting import chatting


class Heard:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.told: list[tuple[str, UUID | None]] = []
        self.changed = asyncio.Event()

    def _note(self, what: str, key: UUID | None) -> None:
        self.told.append((what, key))
        self.changed.set()

    def heard_of_log(self, conversation_id: UUID | None) -> None:
        self._note("log", conversation_id)

    def heard_of_stop(self, conversation_id: UUID, run_id: UUID) -> None:
        self._note("stop", run_id)

    def heard_of_end(self, object_id: UUID) -> None:
        self._note("end", object_id)

    async def until(self, count: int) -> list[tuple[str, UUID | None]]:
        while len(self.told) < count:
            self.changed.clear()
            await self.changed.wait()
        return self.told


class Counting(LocalEventBus):
    """Keeps what is published; ``failing`` says whether it raises instead."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[tuple[str, Mapping[str, Any]]] = []
        self.failing = False

    async def publish(self, topic: str, message: Mapping[str, Any]) -> None:
        if self.failing:
            raise RuntimeError("away")
        self.published.append((topic, message))
        await super().publish(topic, message)


@asynccontextmanager
async def hearing(bus: LocalEventBus, instance: str) -> AsyncIterator[Heard]:
    heard = Heard()
    async with Remote(bus, instance, alone=False).running(heard):
        assert await heard.until(1) == [("log", None)]  # what was told before is looked up
        heard.told.clear()
        yield heard


async def test_others_hear_what_is_told_and_who_tells_does_not() -> None:
    bus, keys = Counting(), [new_id() for _ in range(4)]
    teller = Remote(bus, "one", alone=False)
    async with hearing(bus, "one") as own, hearing(bus, "two") as heard, asyncio.timeout(5):
        for key in (keys[0], keys[0], keys[1], keys[0]):
            teller.tell_log(key)
        teller.tell_stop(keys[1], keys[2])
        teller.tell_end(keys[3])
        expected = [("stop", keys[2]), ("end", keys[3]), ("log", keys[0]), ("log", keys[1])]
        assert await heard.until(4) == expected
        assert own.told == []
    await teller.aclose()


async def test_many_conversations_go_in_few_small_messages() -> None:
    bus = Counting()
    teller = Remote(bus, "a-host-with-a-long-name.example.org-12345-abcdef12", alone=False)
    for _ in range(120):
        teller.tell_log(new_id())
    await teller.aclose()
    assert len(bus.published) == 3
    assert all(len(json.dumps([topic, message])) < 3_000 for topic, message in bus.published)


async def test_what_cannot_be_read_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    bus, key = Counting(), new_id()
    async with hearing(bus, "two") as heard, asyncio.timeout(5):
        for odd in ({"log": ["odd"]}, {"log": 5}, {"stop": "odd"}, {"stop": str(key)}, {"deleted": None}, {"new": 1}):
            await bus.publish(TOPIC, odd)
        bus.missed()
        await bus.publish(TOPIC, {"by": "one", "log": [str(key)]})
        assert (await heard.until(2)) == [("log", None), ("log", key)]
    assert "cannot be read" in caplog.text


async def test_a_bus_that_fails_costs_nobody_anything(caplog: pytest.LogCaptureFixture) -> None:
    bus, key = Counting(), new_id()
    teller = Remote(bus, "one", alone=False)
    bus.failing = True
    for _ in range(3):
        teller.tell_stop(key, key)
    await teller.aclose()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    bus.failing = False
    teller.tell_log(key)
    await teller.aclose()
    assert [message["log"] for _, message in bus.published] == [[str(key)]]


async def test_a_single_process_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    topics: list[str] = []
    publish = LocalEventBus.publish

    async def note(self: LocalEventBus, topic: str, message: Mapping[str, Any]) -> None:
        topics.append(topic)
        await publish(self, topic, message)

    monkeypatch.setattr(LocalEventBus, "publish", note)
    settings = {"EUDAI_DATABASE_URL": f"sqlite:///{tmp_path}/eudai.db"}
    async with chatting(tmp_path, overrides=settings) as chat, chat.follow() as follower:
        await chat.said()
        await follower.until("bot_message")
        await chat.app.conversations.delete(chat.identity, chat.conversation.id)
    assert TOPIC not in topics
