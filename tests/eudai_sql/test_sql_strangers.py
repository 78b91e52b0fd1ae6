"""Tables that are not eudai's in the same PostgreSQL database: neither read, nor emptied, nor dropped."""

from __future__ import annotations

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
import sqlalchemy as sa

from eudai_core.errors import Conflict
from eudai_core.model import MigrationSource
from eudai_sql.history import CORE, read_history
from eudai_sql.storage import SqlStorage
from support.portable import NewUrl, Open

OLD = {"core": read_history(CORE).revisions[1]}
THINGS = "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relname = any($1)"


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def left(url: str, *names: str) -> set[str]:
    connection = await asyncpg.connect(url)
    found = await connection.fetch(THINGS, list(names))
    await connection.close()
    return {row[0] for row in found}


async def tables(storage: SqlStorage) -> set[str]:
    async with storage.portable().snapshot() as snapshot:
        return {table.name for table in snapshot.tables}


async def test_tables_that_are_named_as_ours_are(new_url: NewUrl, opened: Open) -> None:
    url = new_url("postgres")
    storage = opened(url)
    await storage.migrate(())
    await run(
        url,
        "create table p_orders_log (id integer)",
        "insert into p_orders_log values (1)",
        "create view mine as select count(*) from p_orders_log",
        "create table alembic_version_shop (version_num text)",
        "insert into alembic_version_shop values ('x1')",
        "create table p_Odd_log (id integer)",
        "create table alembic_version_other (something integer)",
        "create table p_other_log (id integer)",
        'create table "alembic_version_with_line" (version_num text)',
        "insert into alembic_version_with_line values ('x1')",
        "create table p_with_line_log (id integer)",
    )
    names = ("p_orders_log", "mine", "alembic_version_shop", "p_other_log", "alembic_version_other", "p_with_line_log")
    assert await storage.portable().contents() == {}
    async with storage.portable().snapshot() as snapshot:
        assert set(snapshot.revisions) == {"core"}
        assert [table.name for table in snapshot.tables if table.name.startswith("p_")] == []
    await storage.portable().prepare((), OLD)
    assert await left(url, *names) == set(names)


async def test_a_view_on_our_tables_is_told_and_stays(new_url: NewUrl, opened: Open) -> None:
    url = new_url("postgres")
    storage = opened(url)
    await storage.migrate(())
    await run(url, "create view report as select count(*) from users")
    before = await tables(storage)
    with pytest.raises(Conflict, match="not eudai's depends"):
        await storage.portable().prepare((), OLD)
    assert await left(url, "report") == {"report"}
    assert await tables(storage) == before
    await run(url, "drop view report")
    await storage.portable().prepare((), OLD)


async def test_an_empty_table_of_somebody_with_a_name_of_ours_is_not_dropped(new_url: NewUrl, opened: Open) -> None:
    url = new_url("postgres")
    await run(url, "create table users (id integer)", "create table jobs (id integer)")
    storage = opened(url)
    assert await storage.portable().contents() == {}
    with pytest.raises(Conflict, match="same name that is not eudai's"):
        await storage.portable().prepare((), OLD)
    assert await left(url, "users", "jobs") == {"users", "jobs"}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_views_of_plugins_are_made_anew_with_their_tables(
    kind: str, new_url: NewUrl, opened: Open, odd: MigrationSource
) -> None:
    url = new_url(kind)
    storage = opened(url)
    await storage.migrate([odd])
    make = "create view p_odd_view as select count(*) as count from p_odd_values"
    if kind == "postgres":
        await run(url, make)
    else:
        async with storage.unit_of_work() as unit:
            await unit.transaction.run(sa.text(make))
            await unit.commit()
    await storage.portable().prepare([odd], OLD | {"odd": "odd1"})
    assert "p_odd_values" in await tables(storage)


async def test_a_plugin_that_dropped_its_tables_is_known_by_its_revision(
    new_url: NewUrl, opened: Open, odd: MigrationSource
) -> None:
    url = new_url("postgres")
    storage = opened(url)
    await storage.migrate([odd])
    await run(url, "drop table p_odd_loose, p_odd_values")
    await storage.portable().prepare([odd], OLD | {"odd": "odd1"})
    assert "p_odd_values" in await tables(storage)
