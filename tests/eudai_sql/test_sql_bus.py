"""The event buses: inside one process, and over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from eudai_core.contracts import MISSED, EventBus
from eudai_core.testing import EventBusSuite
from eudai_sql.bus import LocalEventBus
from eudai_sql.notify import MOST_BYTES, NotifyEventBus
from eudai_sql.notify_link import channel_of
from eudai_sql.url import parse_url
from support.eventually import eventually
from support.frozen import frozen
from support.postgres import PostgresServer

PATIENCE = 20.0


@asynccontextmanager
async def opened(url: str, *, queue_size: int | None = None) -> AsyncIterator[NotifyEventBus]:
    bus = NotifyEventBus(parse_url(url), queue_size=queue_size)
    try:
        yield bus
    finally:
        await bus.aclose()


async def read(messages: AsyncIterator[object]) -> object:
    return await asyncio.wait_for(anext(messages), PATIENCE)


async def connections(url: str) -> int:
    """Return how many connections of event buses a database has."""
    connection = await asyncpg.connect(url)
    try:
        query = "select count(*) from pg_stat_activity where application_name = 'eudai events' and datname = "
        return int(await connection.fetchval(query + "current_database()"))
    finally:
        await connection.close()


class TestLocalEventBus(EventBusSuite):
    # It is for one process, with nothing between its two ends: these are none of its tests.
    test_other_process_is_told_in_order_and_once = None  # type: ignore[assignment]
    test_closing_one_process_leaves_the_other = None  # type: ignore[assignment]
    test_outage_is_survived_and_told = None  # type: ignore[assignment]

    @pytest.fixture
    async def bus(self) -> AsyncIterator[EventBus]:
        bus = LocalEventBus()
        yield bus
        await bus.aclose()


class TestNotifyEventBus(EventBusSuite):
    @pytest.fixture
    def url(self, request: pytest.FixtureRequest) -> str:
        if "outage" in request.fixturenames:
            return str(request.getfixturevalue("private_postgres_server").admin_url)
        return str(request.getfixturevalue("postgres_url"))

    @pytest.fixture
    async def bus(self, url: str) -> AsyncIterator[EventBus]:
        async with opened(url) as bus:
            yield bus

    @pytest.fixture
    async def other(self, url: str) -> AsyncIterator[EventBus]:
        async with opened(url) as bus:
            yield bus

    @pytest.fixture
    def outage(self, private_postgres_server: PostgresServer) -> Stopped:
        return Stopped(private_postgres_server)


class Stopped:
    """The outage of a server that is stopped."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server

    async def begin(self) -> None:
        await asyncio.to_thread(self.server.stop, signal.SIGQUIT)

    async def end(self) -> None:
        await asyncio.to_thread(self.server.start)


async def test_slow_reader_is_told_once_what_it_lost() -> None:
    bus = LocalEventBus(queue_size=2)
    async with bus.subscribe("a") as messages:
        for number in range(5):
            await bus.publish("a", {"n": number})
        assert [await anext(messages) for _ in range(3)] == [MISSED, {"n": 3}, {"n": 4}]
        await bus.publish("a", {"n": 5})
        assert await anext(messages) == {"n": 5}


async def test_left_subscription_is_forgotten() -> None:
    bus = LocalEventBus()
    async with bus.subscribe("a"):
        assert set(bus._topics) == {"a"}
    assert bus._topics == {}


async def test_nothing_is_connected_before_the_first_use(postgres_url: str) -> None:
    async with opened(postgres_url) as bus:
        assert await connections(postgres_url) == 0
        async with bus.subscribe("a"):
            assert await connections(postgres_url) == 1
        async with bus.subscribe("b"), bus.subscribe("c"):
            await bus.publish("b", {"n": 1})
            assert await connections(postgres_url) == 1

    async def gone() -> bool:
        return await connections(postgres_url) == 0

    await eventually(gone)


async def test_two_schemas_of_one_database_are_apart(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("create schema elsewhere")
    elsewhere = f"{postgres_url}{'&' if '?' in postgres_url else '?'}search_path=elsewhere"
    try:
        async with (
            opened(postgres_url) as one,
            opened(elsewhere) as other,
            one.subscribe("a") as messages,
            other.subscribe("a") as apart,
        ):
            await other.publish("a", {"n": "elsewhere"})
            assert await read(apart) == {"n": "elsewhere"}
            await one.publish("a", {"n": "here"})
            assert await read(messages) == {"n": "here"}
    finally:
        await connection.execute("drop schema elsewhere")
        await connection.close()


async def test_notification_of_somebody_else_is_left_out(postgres_url: str) -> None:
    stranger = await asyncpg.connect(postgres_url)
    try:
        async with opened(postgres_url) as bus, bus.subscribe("a") as messages:
            for payload in (
                "",
                "no json",
                "7",
                "[]",
                "{}",
                '[1, "a", 7]',
                "[1, 2, {}]",
                '[1, "a"]',
                '[1, "a", {"n": 1}]',
            ):
                await stranger.execute("select pg_notify($1, $2)", channel_of("public"), payload)
            assert await read(messages) == {"n": 1}
    finally:
        await stranger.close()


async def test_message_that_is_too_long_is_dropped_and_told(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        opened(postgres_url) as bus,
        opened(postgres_url) as other,
        bus.subscribe("a") as mine,
        other.subscribe("a") as theirs,
    ):
        await bus.publish("a", {"text": "x" * MOST_BYTES})
        await bus.publish("a", {"text": "x" * (MOST_BYTES - 100)})
        for messages in (mine, theirs):
            assert await read(messages) == {"text": "x" * (MOST_BYTES - 100)}
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert "was dropped" in told[0]
    assert "xxxx" not in told[0]


async def test_message_that_is_no_json_is_a_fault_of_the_caller(postgres_url: str) -> None:
    async with opened(postgres_url) as bus:
        with pytest.raises(TypeError):
            await bus.publish("a", {"n": object()})
        with pytest.raises(ValueError, match="JSON"):
            await bus.publish("a", {"n": float("nan")})


async def test_frozen_server_is_an_outage_and_nothing_is_told_twice(
    private_postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = private_postgres_server
    async with opened(server.admin_url) as bus, opened(server.admin_url) as other, other.subscribe("a") as theirs:
        await bus.publish("a", {"n": 1})
        assert await read(theirs) == {"n": 1}

        async def noticed() -> bool:
            return any("cannot be used: the database does not answer" in line for line in caplog.messages)

        with frozen(server.process.pid):
            await bus.publish("a", {"n": 2})
            await eventually(noticed)
        await bus.publish("a", {"n": 3})
        seen = []
        while {"n": 3} not in seen:
            seen.append(await read(theirs))
    # Whether the second one had been sent nobody could know: it is not sent again, and others are told to look.
    assert MISSED in seen
    assert seen.count({"n": 2}) <= 1


async def test_more_than_the_connection_takes_is_told_as_missed(
    private_postgres_server: PostgresServer,
) -> None:
    server = private_postgres_server
    async with opened(server.admin_url) as bus, opened(server.admin_url) as other, other.subscribe("a") as theirs:
        async with bus.subscribe("a"):
            pass
        await asyncio.to_thread(server.stop)
        for number in range(10_100):
            await bus.publish("b", {"n": number})
        await bus.publish("a", {"n": "kept"})
        await asyncio.to_thread(server.start)
        seen = [await read(theirs)]
        while seen[-1] != {"n": "kept"}:
            seen.append(await read(theirs))
        assert MISSED in seen
