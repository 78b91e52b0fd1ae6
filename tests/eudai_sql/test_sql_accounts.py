"""How the database does it: statements, indexes, and the search index of users who are deleted.

What accounts do is checked by the conformance suite.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
import sqlalchemy as sa

from eudai_core.contracts import UnitOfWork
from eudai_core.ids import new_id
from eudai_core.model import ApiKey, Passage, SearchDocument, SearchScope, Session, StoredAnswer, User
from eudai_core.testing._storage import rows as suite
from eudai_core.testing._storage.deleting_users import check_user_deleted_while_added_to
from eudai_sql import keyset
from eudai_sql.search_index import SqlSearchIndex
from eudai_sql.storage import SqlStorage, open_storage
from eudai_sql.url import parse_url
from support.sql_rows import NOW, Rows, at
from support.statements import Statement, statements

Call = Callable[[UnitOfWork, UUID, str], Awaitable[Any]]
"""Made of an id and a cursor."""

ONCE: dict[str, Call] = {
    "sessions.with_user": lambda work, key, _: work.sessions.with_user(key),
    "sessions.revoke_all": lambda work, key, _: work.sessions.revoke_all(key, NOW),
    "sessions.forget": lambda work, _, __: work.sessions.forget(expired_before=NOW, limit=9),
    "api_keys.find": lambda work, key, _: work.api_keys.find(key),
    "api_keys.list": lambda work, key, _: work.api_keys.list(key),
    "invites.list": lambda work, _, __: work.invites.list(cursor=None, limit=9),
    "invites.list, half-way": lambda work, _, cursor: work.invites.list(cursor=cursor, limit=9),
    "invites.spend": lambda work, key, _: work.invites.spend("0", user_id=key, at=NOW),
    "users.list": lambda work, _, __: work.users.list(cursor=None, limit=9),
    "users.list, half-way": lambda work, _, cursor: work.users.list(cursor=cursor, limit=9),
    "login_failures.get": lambda work, _, __: work.login_failures.get(["a", "b"]),
    "login_failures.forget": lambda work, _, __: work.login_failures.forget(before=NOW),
    "answers.begin": lambda work, key, _: work.answers.begin(key, "a", StoredAnswer("0", NOW), stale_before=NOW),
    "answers.forget": lambda work, _, __: work.answers.forget(begun_before=NOW),
}
"""What is done by one statement, which needs no look at every row and no sorting."""


@pytest.fixture
async def known(storage: SqlStorage, rows: Rows) -> UUID:
    """The id of a user, of one of their sessions and of one of their keys."""
    key = new_id()
    async with storage.unit_of_work() as work:
        await work.users.add(User(key, "Key", "key", NOW), "hash")
        await work.sessions.add(Session(key, key, NOW, at(1)))
        await work.api_keys.add(ApiKey(key, key, "", frozenset(), NOW), "0")
        await work.commit()
    return key


async def sent_by(storage: SqlStorage, call: Call, key: UUID) -> list[Statement]:
    cursor = keyset.page([(NOW, key)] * 2, 1, lambda item: item).next
    assert cursor is not None
    async with storage.unit_of_work() as work:
        with statements() as sent:
            await call(work, key, cursor)
    return sent


@pytest.mark.parametrize("name", ONCE)
async def test_one_statement_and_an_index(storage: SqlStorage, known: UUID, database_url: str, name: str) -> None:
    sent = await sent_by(storage, ONCE[name], known)
    assert len(sent) == 1
    plan = sqlite_plan if database_url.startswith("sqlite") else postgres_plan
    assert [step for step in await plan(database_url, *sent[0]) if is_slow(step)] == []


async def test_failures_of_many_keys_are_counted_by_one_statement(storage: SqlStorage, known: UUID) -> None:
    keys = [f"{number}" for number in range(99)]
    sent = await sent_by(storage, lambda work, _, __: work.login_failures.add(keys, at=NOW, forget_before=NOW), known)
    assert len(sent) == 1


@pytest.mark.parametrize("name", ["sessions.forget", "users.list", "invites.list", "answers.forget"])
async def test_a_plan_without_its_index_is_noticed(
    storage: SqlStorage, known: UUID, database_url: str, name: str
) -> None:
    table = {"answers": "idempotency_keys"}.get(name.split(".")[0], name.split(".")[0])
    column = {"sessions": "expires_at", "idempotency_keys": "begun_at"}.get(table, "created_at_id")
    (sent,) = await sent_by(storage, ONCE[name], known)
    without = f"drop index ix_{table}_{column}"
    plan = sqlite_plan if database_url.startswith("sqlite") else postgres_plan
    assert [step for step in await plan(database_url, *sent, without) if is_slow(step)] != []


def is_slow(step: str) -> bool:
    return step in {"Seq Scan", "Sort"} or "TEMP B-TREE" in step or (step.startswith("SCAN") and "USING" not in step)


async def sqlite_plan(url: str, statement: str, parameters: Any, first: str = "select 1") -> list[str]:
    """Return the steps of a plan, after another statement that is undone."""
    with sqlite3.connect(parse_url(url).path, isolation_level=None) as connection:
        connection.execute("begin")
        connection.execute(first)
        steps = connection.execute(f"explain query plan {statement}", parameters).fetchall()
        connection.execute("rollback")
    connection.close()
    return [str(step[3]) for step in steps]


async def postgres_plan(url: str, statement: str, parameters: Any, first: str = "select 1") -> list[str]:
    """Return the steps of a plan that does without them where it can, after another statement that is undone."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("begin")
        for setting in ("enable_seqscan", "enable_sort", "enable_hashjoin", "enable_mergejoin"):
            await connection.execute(f"set local {setting} = off")
        await connection.execute(first)
        told = await connection.fetchval(f"explain (format json) {statement}", *parameters)
        await connection.execute("rollback")
        return list(nodes(json.loads(told)[0]["Plan"]))
    finally:
        await connection.close()


def nodes(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["Node Type"]
    for part in plan.get("Plans", ()):
        yield from nodes(part)


async def test_deleting_a_user_takes_their_passages_out_of_the_index(storage: SqlStorage, rows: Rows) -> None:
    other = await rows.add_project(await rows.add_user("Bob"))
    index = SqlSearchIndex(storage, asyncio.to_thread)
    scopes = [SearchScope(rows.project.id), SearchScope(other.id)]
    documents = [SearchDocument(scope, new_id(), 1, "a", [Passage(0, 0, 7, "passage")]) for scope in scopes]
    for document in documents:
        await index.put([document])
    async with storage.unit_of_work() as work:
        before = await counts(work.transaction)
        await work.users.delete(rows.user.id)
        await work.commit()
    hits = await index.search({"passag": 1.0}, scopes=scopes, limit=5)
    assert [hit.document_id for hit in hits] == [documents[1].id]
    async with storage.unit_of_work() as work:
        assert {name: 2 * count for name, count in (await counts(work.transaction)).items()} == before


async def counts(transaction: Any) -> dict[str, int]:
    tables = ("search_scopes", "search_documents", "passages", "search_segments", "postings")
    return {name: await transaction.value(sa.select(sa.func.count()).select_from(sa.table(name))) for name in tables}


REFERRING = {"project_id": "projects", "owner_id": "users"}


async def refer_anew(url: str, column: str) -> None:
    """Make a foreign key of conversations the last one that PostgreSQL looks at."""
    name, target = f"fk_conversations_{column}_{REFERRING[column]}", REFERRING[column]
    connection = await asyncpg.connect(url)
    await connection.execute(
        f"alter table conversations drop constraint {name}, add constraint {name} "
        f"foreign key ({column}) references {target} (id) on delete cascade"
    )
    await connection.close()


async def test_deleting_a_user_and_adding_conversations_do_not_wait_for_each_other(postgres_url: str) -> None:
    await refer_anew(postgres_url, "project_id")
    opened, another = open_storage(postgres_url), open_storage(postgres_url)
    try:
        for number in range(5):
            found = suite.Rows(opened, another)
            found.user = replace(found.user, username=f"u{number}", email=f"u{number}")
            await found.begin()
            await check_user_deleted_while_added_to(found)
    finally:
        await opened.aclose()
        await another.aclose()
        await refer_anew(postgres_url, "owner_id")  # the database is used again
