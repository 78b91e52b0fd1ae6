"""The capability portable: everything out of a database and into another one, the same from both kinds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from typing import Any

import pytest
import sqlalchemy as sa

from eudai_core.backup.progress import Silent
from eudai_core.backup.transfer import carry
from eudai_core.contracts import PortableStorage, Row, TableShape
from eudai_core.errors import ConfigError, Conflict, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import Job, MigrationSource, PluginState, PluginStatus
from eudai_sql.engines import migration_engine
from eudai_sql.history import CORE, read_history
from eudai_sql.notify import NotifyEventBus
from eudai_sql.portable_values import Kind, kind_of, neutral_rows
from eudai_sql.storage import SqlStorage, open_storage
from eudai_sql.tables import metadata
from eudai_sql.url import parse_url
from support.eventually import eventually
from support.portable import BOTH, TEXTS, NewUrl, Open, contents_of, fill, fill_odd
from support.sql_rows import NOW, Rows

OF_NOBODY = {"invites", "login_failures", "signing_keys", "texts", "text_owners"}
"""Tables whose rows no foreign key takes along when all users are gone."""
_KEYS = "select count(*) from pg_constraint where contype = 'f' and convalidated"


async def copy(source: SqlStorage, target: SqlStorage, sources: Sequence[MigrationSource]) -> None:
    async with source.portable().snapshot() as snapshot:
        await target.portable().prepare(sources, snapshot.revisions)
        await carry(snapshot, target.portable(), snapshot.tables, Silent())


async def run_sql(url: str, *statements: str) -> None:
    engine = migration_engine(parse_url(url))
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(sa.text(statement))
    await engine.dispose()


@pytest.mark.parametrize("before_kind", BOTH)
@pytest.mark.parametrize("after_kind", BOTH)
async def test_everything_arrives_as_it_was_in_every_direction(
    before_kind: str, after_kind: str, new_url: NewUrl, opened: Open, odd: MigrationSource
) -> None:
    database_url, empty_url = new_url(before_kind), new_url(after_kind)
    source, target = opened(database_url), opened(empty_url)
    await source.migrate([odd])
    await fill(source)
    await fill_odd(database_url)
    before = await contents_of(source)
    assert set(before) == {*metadata.tables, "p_odd_values", "p_odd_loose"}
    assert len(before["p_odd_loose"]) == 3
    assert [text for text in TEXTS if not any(as_json(text) in line for line in before["messages"])] == []
    await copy(source, target, [odd])
    assert await contents_of(target) == before
    assert await target.migrate([odd]) == []
    # Generated keys go on above the loaded ones.
    await run_sql(empty_url, "insert into p_odd_values (truth) values (true)")
    assert any('"id": 1013,' in line for line in (await contents_of(target))["p_odd_values"])


@pytest.mark.parametrize("kind", BOTH)
async def test_foreign_keys_are_whole_again(kind: str, sqlite_url: str, new_url: NewUrl, opened: Open) -> None:
    database_url, empty_url = sqlite_url, new_url(kind)
    source, target = opened(database_url), opened(empty_url)
    await fill(source)
    await copy(source, target, [])
    if kind == "sqlite":
        with closing(sqlite3.connect(parse_url(empty_url).path)) as connection:
            connection.executescript("PRAGMA foreign_keys=ON; delete from users")
    else:
        await run_sql(empty_url, "delete from users")
    left = {name: lines for name, lines in (await contents_of(target)).items() if lines}
    assert set(left) == OF_NOBODY
    if not target.single_process:
        assert await ask(empty_url, _KEYS) == sum(len(table.foreign_keys) for table in metadata.tables.values())


async def ask(url: str, query: str) -> Any:
    engine = migration_engine(parse_url(url))
    async with engine.connect() as connection:
        found = (await connection.execute(sa.text(query))).scalar()
    await engine.dispose()
    return found


async def test_a_snapshot_shows_one_state_while_others_write(storage: SqlStorage, rows: Rows) -> None:
    await rows.add_message(text="before")
    async with storage.portable().snapshot() as snapshot:
        shapes = {table.name: table for table in snapshot.tables}
        await rows.add_message(text="after")
        texts = [row async for batch in snapshot.rows(shapes["messages"]) for row in batch]
        assert len(texts) == await snapshot.count(shapes["messages"]) == 1
    assert len((await contents_of(storage))["messages"]) == 2


async def test_contents_are_what_stands_in_the_way(storage: SqlStorage, rows: Rows) -> None:
    assert await storage.portable().contents() == {"conversations": 1, "projects": 1, "users": 1}
    with pytest.raises(Conflict, match="users 1"):
        async with storage.portable().loading():
            pass
    with pytest.raises(Conflict, match="users 1"):
        await storage.portable().prepare((), {"core": read_history(CORE).revisions[0]})
    assert (await contents_of(storage))["users"]


async def test_what_a_server_left_that_was_only_started_is_emptied(storage: SqlStorage) -> None:
    async with storage.unit_of_work() as unit:
        await unit.plugin_states.save("here", [PluginState("a", "a", "1", PluginStatus.LOADED)], at=NOW)
        await unit.jobs.add(Job(new_id(), "sweep", "all", {}, NOW))
        await unit.commit()
    assert await storage.portable().contents() == {}
    async with storage.portable().loading() as loading:
        await loading.settle({})
        await loading.commit()
    assert {name for name, lines in (await contents_of(storage)).items() if lines} == set()


@pytest.mark.parametrize("kind", BOTH)
async def test_a_database_without_tables_or_file_is_told_and_not_made(kind: str, new_url: NewUrl, opened: Open) -> None:
    empty_url = new_url(kind)
    database = opened(empty_url).portable()
    with pytest.raises(StorageUnavailable, match="no tables"):
        async with database.snapshot():
            pass
    assert (await database.contents(), await database.in_use()) == ({}, False)
    assert empty_url.startswith("postgresql") or not parse_url(empty_url).path.parent.exists()


async def test_what_was_not_committed_is_undone(storage: SqlStorage, database_url: str) -> None:
    texts = TableShape("texts", ("sha256", "bytes"))
    async with storage.portable().loading() as loading:
        await loading.load(texts, batches([["a hash", "AAE="]], [], [["another", ""]]))
        await loading.settle({})
        assert await loading.count(texts) == 2
    assert await storage.portable().contents() == {}
    if not storage.single_process:
        # The keys were dropped meanwhile, and are there again.
        assert await ask(database_url, _KEYS) == sum(len(table.foreign_keys) for table in metadata.tables.values())


TOKENS = TableShape("refresh_tokens", ("sha256", "session_id", "expires_at", "spent_at"))
TOKEN: Row = ["a hash", "0" * 32, "2026-11-25T12:00:00.000000Z", None]


async def batches(*given: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    for batch in given:
        yield batch


@pytest.mark.parametrize(
    ("index", "value"),
    [(1, "no id"), (2, "no time"), (0, "NUL \x00"), (0, None), (2, ["a list"]), (0, {"a": 1}), (1, None)],
)
async def test_a_value_that_does_not_fit_is_refused_with_the_name_of_its_table(
    storage: SqlStorage, index: int, value: object
) -> None:
    if storage.single_process and isinstance(value, str):
        return  # SQLite keeps any text
    row = list(TOKEN)
    row[index] = value
    with pytest.raises(ConfigError, match="the table refresh_tokens"):
        async with storage.portable().loading() as loading:
            await loading.load(TOKENS, batches([row]))
    assert await storage.portable().contents() == {}


async def test_a_row_without_its_owner_is_refused(storage: SqlStorage) -> None:
    shape = TableShape("sessions", ("id", "user_id", "created_at", "expires_at", "revoked_at"))
    at = "2026-11-25T12:00:00.000000Z"
    async with storage.portable().loading() as loading:
        await loading.load(shape, batches([["1" * 32, "2" * 32, at, at, None]]))
        with pytest.raises(ConfigError, match=r"sessions.*belong to something that is not there"):
            await loading.settle({})
    assert await storage.portable().contents() == {}


@pytest.mark.parametrize("shape", [TableShape("strange", ("id",)), TableShape("users", ("id", "strange"))])
async def test_a_table_or_column_that_is_not_here_is_named(storage: SqlStorage, shape: TableShape) -> None:
    with pytest.raises(ConfigError, match="strange"):
        async with storage.portable().loading() as loading:
            await loading.load(shape, batches([["0" * 32]]))


@pytest.mark.parametrize("kind", BOTH)
async def test_an_empty_database_is_made_anew_at_an_older_revision(
    kind: str, new_url: NewUrl, opened: Open, odd: MigrationSource
) -> None:
    storage = opened(new_url(kind))
    await storage.migrate([odd])
    old = read_history(CORE).revisions[1]
    await storage.portable().prepare([odd], {"core": old, "odd": "odd1"})
    async with storage.portable().snapshot() as snapshot:
        assert snapshot.revisions == {"core": old, "odd": "odd1"}
        assert "p_odd_values" in {table.name for table in snapshot.tables}
    assert await storage.migrate([odd]) == [f"core:{name}" for name in read_history(CORE).revisions[2:]]


@pytest.mark.parametrize("kind", BOTH)
async def test_revisions_that_are_not_known_are_refused_before_anything_is_touched(
    kind: str, new_url: NewUrl, opened: Open
) -> None:
    database = opened(new_url(kind)).portable()
    for revisions in ({"core": "9999"}, {"core": "0001", "gone": "1"}):
        with pytest.raises(ConfigError, match=r"newer version|no installed plugin"):
            await database.prepare((), revisions)
    with pytest.raises(StorageUnavailable, match="no tables"):
        async with database.snapshot():
            pass


async def test_a_connected_server_is_noticed_on_postgresql(postgres_url: str, opened: Open) -> None:
    server = opened(postgres_url)
    assert not await server.portable().in_use()
    async with server.unit_of_work(readonly=True) as unit:
        await unit.plugin_states.latest()
        assert await server.portable().in_use()


async def test_a_server_that_only_listens_is_noticed_on_postgresql(postgres_url: str, opened: Open) -> None:
    """Its other connections may be a pooler's, under any name."""
    bus, database = NotifyEventBus(parse_url(postgres_url)), opened(postgres_url).portable()
    assert not await database.in_use()
    async with bus.subscribe("topic"):
        await eventually(database.in_use)
    await bus.aclose()


async def test_other_tables_in_the_same_database_are_left_alone(new_url: NewUrl, opened: Open) -> None:
    url = new_url("postgres")
    storage = opened(url)
    await run_sql(url, "create table somebody_elses (id integer)", "insert into somebody_elses values (1)")
    assert await storage.portable().contents() == {}
    await storage.migrate(())
    assert "somebody_elses" not in await contents_of(storage)
    await storage.portable().prepare((), {"core": read_history(CORE).revisions[0]})
    assert await ask(url, "select count(*) from somebody_elses") == 1


async def test_columns_that_only_postgresql_has_come_back_too(new_url: NewUrl, opened: Open) -> None:
    """A plugin for PostgreSQL alone may use its types; they travel as the text that PostgreSQL writes."""
    url = new_url("postgres")
    storage = opened(url)
    await storage.migrate(())
    await run_sql(
        url,
        "create table alembic_version_only (version_num text)",
        "insert into alembic_version_only values ('only1')",
        "create type p_only_mood as enum ('good', 'bad')",
        "create table p_only_pg (id integer generated always as identity primary key, tags text[], mood p_only_mood, "
        "span interval, twice integer generated always as (2) stored, plain json)",
        "insert into p_only_pg (tags, mood, span, plain) values "
        """(array['a,b', null, 'c\\d'], 'bad', '1 day 2 hours', '{"b" : 1}')""",
    )
    before = await contents_of(storage)
    assert len(before["p_only_pg"]) == 1
    async with storage.portable().snapshot() as snapshot:
        shape = next(table for table in snapshot.tables if table.name == "p_only_pg")
        rows = [row async for batch in snapshot.rows(shape) for row in batch]
    assert "twice" not in shape.columns
    await run_sql(url, "delete from p_only_pg")
    async with storage.portable().loading() as loading:
        await loading.load(shape, batches(rows))
        await loading.settle({})
        await loading.commit()
    assert await contents_of(storage) == before
    await run_sql(url, "insert into p_only_pg default values")
    assert await ask(url, "select max(id) from p_only_pg") == 2


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Kind.TIME, "2026-11-25 08:30:00.000001", "2026-11-25T08:30:00.000001Z"),
        (Kind.TIME, "2026-11-25T10:30:00+02:00", "2026-11-25T08:30:00.000000Z"),
        (Kind.TIME, "2026-11-25 08:30:00", "2026-11-25T08:30:00.000000Z"),
        (Kind.FLOAT, float("nan"), "NaN"),
        (Kind.FLOAT, float("-inf"), "-Infinity"),
        (Kind.FLOAT, 3, 3.0),
        (Kind.DECIMAL, 1.10, "1.1"),
        (Kind.DECIMAL, "100.00", "100"),
        (Kind.DECIMAL, 0, "0"),
        (Kind.JSON, "null", [None]),
        (Kind.JSON, 5, [5]),
        (Kind.JSON, '{"a": 1e22}', [{"a": 10**22}]),
        (Kind.JSON, '{"a": 1.50}', [{"a": 1.5}]),
        (Kind.TRUTH, 1, True),
    ],
)
def test_values_have_one_neutral_form(kind: Kind, value: object, expected: object) -> None:
    ((found,),) = neutral_rows([kind], [(value,)])
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Kind.TIME, "noon"), (Kind.JSON, "{"), (Kind.JSON, "NaN"), (Kind.JSON, "1e400"), (Kind.FLOAT, "x")],
)
def test_values_that_have_none_are_refused(kind: Kind, value: object) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        neutral_rows([kind], [(value,)])


def test_a_type_that_nobody_knows_is_carried_as_text() -> None:
    assert kind_of(sa.types.NullType()) is Kind.OTHER


def test_the_storage_says_that_it_can_be_carried(sqlite_url: str) -> None:
    assert isinstance(open_storage(sqlite_url), PortableStorage)


def as_json(text: str) -> str:
    return json.dumps(text)
