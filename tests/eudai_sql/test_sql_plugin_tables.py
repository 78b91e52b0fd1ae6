"""Tables of plugins: their statements through ``unit.sql``, and their migrations, which concern nobody else."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from eudai_core.contracts import OffersSql, Sql, UnitOfWork
from eudai_core.errors import (
    ConfigError,
    Conflict,
    InvalidInput,
    NotFound,
    PluginError,
    StorageUnavailable,
)
from eudai_core.ids import new_id
from eudai_core.model import MigrationSource
from eudai_core.plugin_tables import migrate_all
from eudai_sql.alembic_run import check
from eudai_sql.engines import migration_engine
from eudai_sql.history import CORE, read_history
from eudai_sql.plugin_sql import _prepared
from eudai_sql.plugin_text import read_text
from eudai_sql.storage import SqlStorage, open_storage
from eudai_sql.tables import metadata
from eudai_sql.url import parse_url
from support.postgres import PostgresServer, migrate, sqlite_file_url
from support.sql_rows import NOW, Rows

ALL = [f"core:{revision}" for revision in read_history(CORE).revisions]
TABLE = """
    op.create_table(
        'p_notes_things',
        sa.Column('id', sa.Uuid, primary_key=True),
        sa.Column('user_id', sa.Uuid, sa.ForeignKey('users.id', ondelete='CASCADE')),
        sa.Column('name', sa.Text, unique=True),
        sa.Column('at', sa.DateTime(timezone=True)),
        sa.Column('day', sa.Date),
        sa.Column('blob', sa.LargeBinary),
        sa.Column('flag', sa.Boolean),
        sa.Column('number', sa.BigInteger),
        sa.Column('ratio', sa.Float),
        sa.Column('data', sa.JSON().with_variant(postgresql.JSONB(), 'postgresql')),
    )
"""
TYPES: Mapping[str, type[Any]] = {
    "id": UUID,
    "user_id": UUID,
    "name": str,
    "at": datetime,
    "day": date,
    "blob": bytes,
    "flag": bool,
    "number": int,
    "ratio": float,
    "data": dict,
}
COLUMNS = ", ".join(TYPES)
INSERT = f"insert into p_notes_things ({COLUMNS}) values ({', '.join(f':{name}' for name in TYPES)})"
Make = Callable[..., MigrationSource]


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make the history of a plugin out of the bodies of its upgrades; called again, it replaces the one before."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(*bodies: str, branch: str = "notes", depends_on: tuple[str, ...] = ()) -> MigrationSource:
        package = tmp_path / f"{branch}_migrations"
        (package / "versions").mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("")
        for old in (package / "versions").glob("*.py"):
            old.unlink()
        for number, body in enumerate(bodies, 1):
            before = None if number == 1 else f"{branch}{number - 1}"
            (package / "versions" / f"r{number}.py").write_text(
                "import sqlalchemy as sa\nfrom alembic import op\nfrom sqlalchemy.dialects import postgresql\n"
                f"revision = '{branch}{number}'\ndown_revision = {before!r}\ndef upgrade():\n    {body.strip()}\n"
            )
        monkeypatch.delitem(sys.modules, package.name, raising=False)
        return MigrationSource(branch, package.name, depends_on)

    return make


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, dialect: str) -> Any:
    """A migrated database of the test's own, which may be left with other tables in it."""
    if dialect == "sqlite":
        yield request.getfixturevalue("sqlite_url")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    asyncio.run(migrate(url))
    yield url
    server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgres"])
def dialect(request: pytest.FixtureRequest) -> str:
    """The database of the test."""
    return str(request.param)


@pytest.fixture
async def storage(sandbox: str, source: Make) -> Any:
    """A storage with the table of a plugin."""
    opened = open_storage(sandbox)
    await opened.migrate([source(TABLE)])
    yield opened
    await opened.aclose()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SqlStorage]:
    storage = open_storage(url)
    try:
        yield storage
    finally:
        await storage.aclose()


def sql_of(unit: UnitOfWork) -> Sql:
    assert isinstance(unit, OffersSql)
    return unit.sql


def thing(**values: Any) -> dict[str, Any]:
    return dict.fromkeys(TYPES) | {"id": new_id()} | values


async def insert(storage: SqlStorage, **values: Any) -> dict[str, Any]:
    row = thing(**values)
    async with storage.unit_of_work() as unit:
        assert await sql_of(unit).run(INSERT, row) == 1
        await unit.commit()
    return row


async def things(storage: SqlStorage) -> list[Mapping[str, Any]]:
    async with storage.unit_of_work(readonly=True) as unit:
        return list(await sql_of(unit).rows(f"select {COLUMNS} from p_notes_things order by id", types=TYPES))


async def names(url: str) -> set[str]:
    engine = migration_engine(parse_url(url))
    async with engine.connect() as connection:
        found = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    await engine.dispose()
    return set(found)


async def test_values_come_back_as_they_were_given(storage: SqlStorage, rows: Rows) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    given = thing(
        user_id=rows.user.id,
        name="a 'quoted' name: ü",
        at=NOW.astimezone(zone),
        day=date(2026, 11, 25),
        blob=b"\x00\xff",
        flag=True,
        number=2**62,
        ratio=0.1,
        data={"a": [1, "ü", None, {"b": True}]},
    )
    async with storage.unit_of_work() as unit:
        await sql_of(unit).run(INSERT, given)
        await unit.commit()
    (found,) = await things(storage)
    assert found == given
    assert {name: type(value) for name, value in found.items()} == {**TYPES, "id": type(found["id"])} | {
        "user_id": type(found["user_id"])
    }
    assert isinstance(found["id"], UUID)
    assert found["at"].tzinfo is UTC


async def test_without_types_values_are_what_the_contract_says(storage: SqlStorage, dialect: str) -> None:
    key = new_id()
    await insert(storage, id=key, at=NOW, day=NOW.date(), flag=True, number=3, data={"a": 1}, blob=b"x")
    async with storage.unit_of_work(readonly=True) as unit:
        sql = sql_of(unit)
        assert sql.dialect == {"sqlite": "sqlite", "postgres": "postgresql"}[dialect]
        (row,) = await sql.rows("select id, at, day, flag, number, data, blob from p_notes_things")
    assert (row["number"], row["blob"]) == (3, b"x")
    known = (row["id"], row["at"], row["day"], row["flag"], row["data"])
    if dialect == "sqlite":
        assert known == (key.hex, "2026-11-25 12:00:00.123456", "2026-11-25", 1, '{"a":1}')
    else:
        assert known == (key, NOW, NOW.date(), True, {"a": 1})


async def test_nothing_stays_nothing_and_sums_are_numbers(storage: SqlStorage) -> None:
    row = await insert(storage)
    assert await things(storage) == [row]
    await insert(storage, number=2)
    await insert(storage, number=3)
    async with storage.unit_of_work(readonly=True) as unit:
        (total,) = await sql_of(unit).rows("select sum(number) as total from p_notes_things", types={"total": int})
    assert total == {"total": 5}
    assert type(total["total"]) is int


async def test_parameters_find_rows_by_every_type(storage: SqlStorage, rows: Rows) -> None:
    row = await insert(
        storage, user_id=rows.user.id, at=NOW, day=NOW.date(), flag=False, number=7, ratio=0.5, blob=b"b", name="n"
    )
    async with storage.unit_of_work(readonly=True) as unit:
        for name in ("id", "user_id", "at", "day", "flag", "number", "ratio", "blob", "name"):
            text = f"select name from p_notes_things where {name} = :value"
            assert await sql_of(unit).rows(text, {"value": row[name]}) == [{"name": "n"}], name
        joined = "select u.username from p_notes_things t join users u on u.id = t.user_id where t.at > :at limit :n"
        assert await sql_of(unit).rows(joined, {"at": NOW - timedelta(seconds=1), "n": 5}) == [{"username": "Ada"}]
        assert await sql_of(unit).rows(joined, {"at": NOW, "n": 5}) == []


async def test_a_colon_is_a_parameter_only_where_it_is_meant(storage: SqlStorage, dialect: str) -> None:
    async with storage.unit_of_work(readonly=True) as unit:
        text = "select 'it''s :no' as a, '12:30' as \"b:c\", :yes as d, 'x\\:y' as e -- a :comment\n /* and :one */"
        (row,) = await sql_of(unit).rows(text, {"yes": "v"})
        assert row == {"a": "it's :no", "b:c": "12:30", "d": "v", "e": "x\\:y"}
        if dialect == "postgres":
            text = "select :a::text as a, '5'::int as b, E'\\':x' as c, $t$:y$t$ as d, (array[1,2,3])[1:2] as e"
            (row,) = await sql_of(unit).rows(text, {"a": "1"})
            assert row == {"a": "1", "b": 5, "c": "':x", "d": ":y", "e": [1, 2]}


async def test_a_unit_of_work_is_one_with_the_repositories(storage: SqlStorage, rows: Rows) -> None:
    async with storage.unit_of_work() as unit:
        user = type(rows.user)(new_id(), "eve", "eve@example.org", NOW)
        await unit.users.add(user, "hash")
        await sql_of(unit).run(INSERT, thing(user_id=user.id))
    assert await things(storage) == []  # rolled back, and so is eve
    async with storage.unit_of_work() as unit:
        with pytest.raises(NotFound):
            await unit.users.get(user.id)
    async with storage.unit_of_work() as unit:
        await unit.users.add(user, "hash")
        await sql_of(unit).run(INSERT, thing(user_id=user.id))
        await unit.commit()
    assert len(await things(storage)) == 1


async def test_errors_are_those_of_repositories(storage: SqlStorage) -> None:
    row = await insert(storage, name="taken")
    cases: list[tuple[type[Exception], dict[str, Any]]] = [
        (Conflict, thing(id=row["id"])),
        (Conflict, thing(name="taken")),
        (NotFound, thing(user_id=new_id())),
        (InvalidInput, thing(name="a\x00b")),
        (InvalidInput, thing(name="\ud800")),
        (InvalidInput, thing(number=2**70)),
        (InvalidInput, thing(data={"a": "\x00"})),
        (PluginError, thing(at=NOW.replace(tzinfo=None))),
        (PluginError, thing(data={"a": object()})),
        (PluginError, thing(number=object())),
    ]
    for error, values in cases:
        async with storage.unit_of_work() as unit:
            with pytest.raises(error) as caught:
                await sql_of(unit).run(INSERT, values)
            assert "p_notes" not in str(caught.value)
    assert await things(storage) == [row]


async def test_a_statement_that_is_not_understood_is_a_fault_of_the_plugin(storage: SqlStorage) -> None:
    for text, parameters in [
        ("select nonsense from users", {}),
        ("select 1 from users where id = :id", {}),
        ("select 1 from users", {"id": 1}),
        ("create table p_notes_more (id integer)", {}),
        ("drop table users", {}),
        ("commit", {}),
        ("pragma foreign_keys = off", {}),
        ("", {}),
        ("select 1; select 2", {}),
    ]:
        async with storage.unit_of_work() as unit:
            with pytest.raises(PluginError):
                await sql_of(unit).rows(text, parameters)
    async with storage.unit_of_work() as unit:
        with pytest.raises(PluginError, match="no column wrong"):
            await sql_of(unit).rows("select 1 as a", types={"wrong": int})
        with pytest.raises(PluginError, match="complex"):
            await sql_of(unit).rows("select 1 as a", types={"a": complex})


@pytest.mark.parametrize("how", [{"readonly": True}, {"readonly": True, "snapshot": False}])
async def test_reading_units_refuse_to_write(storage: SqlStorage, how: Mapping[str, bool]) -> None:
    row = await insert(storage, name="n")
    texts = ["insert into p_notes_things (id) values (:id)", "update p_notes_things set name = null where id <> :id"]
    if storage.single_process:
        texts.append("replace into p_notes_things (id) values (:id)")
    else:
        texts.append("with w as (insert into p_notes_things (id) values (:id) returning id) select * from w")
        texts.append("select id into p_notes_more from p_notes_things where id = :id")
    for text in texts:
        async with storage.unit_of_work(**how) as unit:
            with pytest.raises(PluginError, match="for reading"):
                await sql_of(unit).rows(text, {"id": new_id()})
            with pytest.raises(PluginError, match="for reading"):
                await sql_of(unit).run_many(text, [{"id": new_id()}])
            text = "with w as (select name from p_notes_things) select replace(name, 'n', 'm') as m from w"
            assert await sql_of(unit).rows(text) == [{"m": "m"}]
    assert await things(storage) == [row]


async def test_changes_are_counted_and_many_go_at_once(storage: SqlStorage) -> None:
    many = [thing(number=number, name=f"n{number}" if number % 2 else None) for number in range(20)]
    async with storage.unit_of_work() as unit:
        sql = sql_of(unit)
        await sql.run_many(INSERT, many)
        await sql.run_many(INSERT, [])
        with pytest.raises(PluginError, match="several types"):
            await sql.run_many(INSERT, [thing(number=1), thing(number="1")])
        assert await sql.run("update p_notes_things set flag = :flag where number < :n", {"flag": True, "n": 5}) == 5
        assert await sql.run("delete from p_notes_things where number >= :n", {"n": 100}) == 0
        again = f"{INSERT} on conflict (id) do nothing"
        assert await sql.run(again, many[0]) == 0
        await unit.commit()
    assert [row["name"] for row in await things(storage)] == [row["name"] for row in many]


def test_a_text_is_read_and_prepared_once() -> None:
    text = "select 1 from p_notes_things where number = :n"
    assert read_text(text) is read_text(text)
    kinds = (("n", int),)
    assert _prepared(text, kinds) is _prepared(text, kinds)


async def test_an_ended_unit_of_work_does_nothing_more(storage: SqlStorage) -> None:
    async with storage.unit_of_work() as unit:
        await unit.commit()
        with pytest.raises(RuntimeError, match="has ended"):
            await sql_of(unit).rows("select 1 as a")


async def test_a_database_that_went_away_is_told_fast(private_postgres_server: PostgresServer) -> None:
    server = private_postgres_server
    await migrate(server.admin_url)
    async with opened(server.admin_url) as storage, storage.unit_of_work() as unit:
        await sql_of(unit).rows("select 1 as a")
        await asyncio.to_thread(server.stop)
        start = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await sql_of(unit).rows("select 1 as a")
        assert time.monotonic() - start < 2


async def test_users_take_their_rows_with_them(storage: SqlStorage, rows: Rows) -> None:
    await insert(storage, user_id=rows.user.id)
    async with storage.unit_of_work() as unit:
        await sql_of(unit).run("delete from users where id = :id", {"id": rows.user.id})
        await unit.commit()
    assert await things(storage) == []


async def test_removing_a_plugin_breaks_nothing_and_it_goes_on_with_its_data(
    storage: SqlStorage, sandbox: str, source: Make
) -> None:
    row = await insert(storage, name="kept")
    assert list(await storage.migrate(())) == []
    assert (await storage.health()).status == "ok"
    engine = migration_engine(parse_url(sandbox))
    async with engine.connect() as connection:
        await connection.run_sync(check, read_history(CORE), metadata)
    await engine.dispose()
    newer = source(TABLE, "op.add_column('p_notes_things', sa.Column('more', sa.Text))")
    assert list(await storage.migrate([newer])) == ["notes:notes2"]
    assert await things(storage) == [row]


@pytest.mark.parametrize(
    ("body", "touched"),
    [
        ("op.create_table('things', sa.Column('id', sa.Integer))", "things"),
        ("op.create_table('p_other_things', sa.Column('id', sa.Integer))", "p_other_things"),
        ("op.add_column('users', sa.Column('nickname', sa.Text))", "users"),
        ("op.create_index('p_notes_users', 'users', ['created_at'])", "users"),
        ("op.drop_table('events')", "events"),
        ("op.execute('create view everybody as select username from users')", "everybody"),
    ],
)
async def test_a_migration_may_touch_its_own_tables_only(
    storage: SqlStorage, sandbox: str, source: Make, body: str, touched: str
) -> None:
    before = await names(sandbox)
    strange = source(TABLE, f"op.create_table('p_notes_more', sa.Column('id', sa.Integer))\n    {body}")
    with pytest.raises(PluginError, match=f"dropped .*{touched}.*p_notes_"):
        await storage.migrate([strange])
    assert await names(sandbox) == before
    assert list(await storage.migrate([source(TABLE, "pass")])) == ["notes:notes2"]


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("op.execute('select 1; select 2')", "ProgrammingError"),
        ("op.execute('insert into p_notes_nowhere values (1)')", "p_notes_nowhere"),
        ("import a_module_that_is_nowhere", "ModuleNotFoundError"),
    ],
)
async def test_a_failing_migration_fails_its_plugin_and_those_that_need_it(
    storage: SqlStorage, source: Make, failing: str, reason: str
) -> None:
    row = await insert(storage, name="kept")
    sources = [
        source("pass", branch="after", depends_on=("notes",)),
        source(TABLE, f"op.drop_table('p_notes_things')\n    {failing}"),
        source("op.create_table('p_good_things', sa.Column('id', sa.Integer))", branch="good", depends_on=("core",)),
    ]
    result = await migrate_all(storage, sources)
    assert list(result.revisions) == ["good:good1"]
    assert reason in result.failed["notes"]
    assert "notes" in result.failed["after"]
    assert await things(storage) == [row]
    again = await migrate_all(storage, [source(TABLE, "pass"), *sources[::2]], dry_run=True)
    assert (list(again.revisions), again.failed) == (["notes:notes2", "after:after1"], {})


async def test_the_core_is_brought_up_to_date_whatever_a_plugin_does(tmp_path: Path, source: Make) -> None:
    async with opened(sqlite_file_url(tmp_path / "new.db")) as storage:
        result = await migrate_all(storage, [source("raise RuntimeError('no luck')")])
        health = await storage.health()
    assert list(result.revisions) == ALL
    assert result.lacking() == {"core": len(ALL)}
    assert set(result.failed) == {"notes"}
    assert health.status == "ok"


async def test_an_embedded_database_is_copied_as_it_was_before_a_plugin_changes_it(
    sqlite_url: str, source: Make, tmp_path: Path
) -> None:
    async with opened(sqlite_url) as storage:
        await migrate_all(storage, [source("raise RuntimeError('no luck')")])
        assert not (tmp_path / "backups").exists()
        await migrate_all(storage, [source(TABLE)])
    (copy,) = (tmp_path / "backups").glob("*.db")
    assert "p_notes_things" in await names(sqlite_url)
    assert await names(sqlite_file_url(copy)) == await names(sqlite_url) - {"p_notes_things", "alembic_version_notes"}


async def test_a_plugin_older_than_its_tables_or_without_its_package_fails_alone(
    storage: SqlStorage, source: Make
) -> None:
    await storage.migrate([source(TABLE, "pass")])
    gone = MigrationSource("gone", "no_such_package_at_all")
    result = await migrate_all(storage, [source(TABLE), gone])
    assert "newer version" in result.failed["notes"]
    assert "no_such_package_at_all" in result.failed["gone"]
    assert result.revisions == []


async def test_a_fault_of_the_core_is_nobody_elses(storage: SqlStorage, source: Make, sandbox: str) -> None:
    engine = migration_engine(parse_url(sandbox))
    async with engine.begin() as connection:
        await connection.execute(sa.text("update alembic_version_core set version_num = '9999'"))
    await engine.dispose()
    with pytest.raises(ConfigError, match="'core'"):
        await migrate_all(storage, [source(TABLE)])
