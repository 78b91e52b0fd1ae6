"""Lists and paths cost the same however much there is, with the planner's statistics and without."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
import sqlalchemy as sa

from eudai_core.contracts import UnitOfWork
from eudai_sql.storage import SqlStorage
from eudai_sql.url import parse_url
from support.growing import Grown, Side, grow
from support.old_database import inside
from support.sql_rows import Rows
from support.statements import Statement, statements

MANY = 6_000
PAGE = 50
MOST = 1.5
"""How many times as much the large one may cost: an index of many rows is a level deeper."""
_log = logging.getLogger(__name__)
Read = Callable[[UnitOfWork, Side], Awaitable[Any]]


async def opened(unit: UnitOfWork, side: Side) -> None:
    conversation = await unit.conversations.get(side.conversation)
    assert conversation.active_message_id is not None
    assert len(await unit.messages.path(conversation.active_message_id, limit=PAGE)) == PAGE


READS: dict[str, Read] = {
    "a conversation's newest page": opened,
    "a conversation's oldest page": lambda unit, side: unit.messages.path(side.early, limit=PAGE),
    "all conversations": lambda unit, side: unit.conversations.list(
        side.user, project_id=None, cursor=None, limit=PAGE
    ),
    "all conversations, half-way": lambda unit, side: unit.conversations.list(
        side.user, project_id=None, cursor=side.cursor, limit=PAGE
    ),
    "a project's conversations": lambda unit, side: unit.conversations.list(
        side.user, project_id=side.project, cursor=None, limit=PAGE
    ),
    "a project's conversations, half-way": lambda unit, side: unit.conversations.list(
        side.user, project_id=side.project, cursor=side.cursor, limit=PAGE
    ),
    "a small project's conversations": lambda unit, side: unit.conversations.list(
        side.user, project_id=side.other_project, cursor=None, limit=PAGE
    ),
    "projects": lambda unit, side: unit.projects.list(side.user, cursor=None, limit=PAGE),
    "a project": lambda unit, side: unit.projects.get(side.project),
}


async def sent_by(storage: SqlStorage, read: Read, side: Side) -> list[Statement]:
    with statements() as sent:
        async with storage.unit_of_work(readonly=True) as unit:
            await read(unit, side)
    return [
        (statement, parameters) for statement, parameters in sent if statement.lower().startswith(("select", "with"))
    ]


def sqlite_steps(path: str, sent: list[Statement]) -> int:
    """Return how many steps the virtual machine of SQLite takes: the cost of a statement, and always the same."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    connection = sqlite3.connect(path)
    connection.set_progress_handler(step, 1)
    for statement, parameters in sent:
        connection.execute(statement, parameters).fetchall()
    connection.close()
    return count


async def postgres_rows(url: str, sent: list[Statement]) -> int:
    """Return how many rows the plans' nodes touched together, also those that they only looked at and left out."""
    connection = await asyncpg.connect(url)
    try:
        count = 0
        for statement, parameters in sent:
            await connection.execute("set plan_cache_mode = force_custom_plan")
            told = await connection.fetchval(f"explain (analyze, timing off, format json) {statement}", *parameters)
            count += _touched(json.loads(told)[0]["Plan"])
        return count
    finally:
        await connection.close()


def _touched(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Heap Fetches", 0)
    own = int((node["Actual Rows"] + removed) * node["Actual Loops"])
    return own + sum(map(_touched, node.get("Plans", ())))


@pytest.fixture
async def grown(storage: SqlStorage, rows: Rows, database_url: str) -> Grown:
    return await grow(
        database_url,
        (await rows.add_user("Few")).id,
        (await rows.add_user("Many")).id,
        conversations=MANY,
        messages=MANY,
    )


async def cost(url: str, sent: list[Statement]) -> int:
    if url.startswith("sqlite"):
        return sqlite_steps(str(parse_url(url).path), sent)
    return await postgres_rows(url, sent)


async def costs(storage: SqlStorage, grown: Grown, url: str) -> dict[str, tuple[int, int]]:
    """Return what each read costs on the small side and on the large one."""
    found = {}
    for name, read in READS.items():
        small = await cost(url, await sent_by(storage, read, grown.small))
        large = await cost(url, await sent_by(storage, read, grown.large))
        _log.info("%s: %d, of many %d", name, small, large)
        found[name] = (small, large)
    return found


@pytest.mark.parametrize("statistics", [True, False], ids=["with statistics", "without"])
async def test_many_cost_as_much_as_few(storage: SqlStorage, grown: Grown, database_url: str, statistics: bool) -> None:
    if not statistics and database_url.startswith("sqlite"):
        with sqlite3.connect(parse_url(database_url).path) as connection:
            connection.execute("delete from sqlite_stat1")
    found = await costs(storage, grown, database_url)
    assert {name: pair for name, pair in found.items() if pair[1] > MOST * pair[0]} == {}


@pytest.mark.parametrize(
    "index",
    [
        "ix_conversations_owner_id_updated_at_id",
        "ix_conversations_project_id_updated_at_id",
        "ix_messages_roots",
        "ix_messages_parent_id",
    ],
)
async def test_without_its_index_something_costs_more(
    storage: SqlStorage, grown: Grown, database_url: str, index: str
) -> None:
    before = await costs(storage, grown, database_url)
    made = await inside(database_url, lambda connection: drop_index(connection, index))
    try:
        after = await costs(storage, grown, database_url)
    finally:  # the database is used again
        await inside(database_url, lambda connection: connection.exec_driver_sql(made))
    assert [name for name in READS if after[name][1] > MOST * before[name][1]] != []


def drop_index(connection: sa.Connection, name: str) -> str:
    """Drop an index and return the statement that makes it."""
    kept = (
        "sql from sqlite_master where name"
        if connection.dialect.name == "sqlite"
        else ("indexdef from pg_indexes where indexname")
    )
    made = str(connection.exec_driver_sql(f"select {kept} = '{name}'").scalar_one())
    connection.exec_driver_sql(f"drop index {name}")
    return made
