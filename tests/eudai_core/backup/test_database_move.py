"""Moving between databases, and back."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

import pytest

from eudai_core.backup.moving import move_database
from eudai_core.errors import ConfigError, Conflict
from eudai_core.model import MigrationSource
from eudai_sql.portable_loading import SqliteLoading
from eudai_sql.url import parse_url
from support.killed_carrier import kill_in_the_middle
from support.portable import BOTH, NewUrl, Open, contents_of, fill, fill_odd
from support.sql_rows import Rows


async def test_there_and_back_again_is_the_same(new_url: NewUrl, opened: Open, odd: MigrationSource) -> None:
    url = new_url("sqlite")
    first, second, third = opened(url), opened(new_url("postgres")), opened(new_url("sqlite"))
    await first.migrate([odd])
    await fill(first)
    await fill_odd(url)
    there = await move_database(first, second, [odd])
    back = await move_database(second, third, [odd])
    contents = await contents_of(first)
    assert await contents_of(second) == await contents_of(third) == contents
    assert there.tables == back.tables
    assert {name: table.rows for name, table in back.tables.items()} == {
        name: len(lines) for name, lines in contents.items()
    }
    # And it can be used.
    rows = Rows(third)
    rows.user = await rows.add_user("Eve")
    assert (await contents_of(third))["users"] != contents["users"]


@pytest.mark.parametrize("kind", BOTH)
async def test_a_dry_run_touches_nothing(kind: str, new_url: NewUrl, opened: Open, sqlite_url: str) -> None:
    source, url = opened(sqlite_url), new_url(kind)
    await fill(source)
    report = await move_database(source, opened(url), (), dry_run=True)
    assert report.rows["messages"] == 6
    assert report.tables == {}
    assert await opened(url).migrate((), dry_run=True)
    assert kind == "postgres" or not parse_url(url).path.parent.exists()


@pytest.mark.parametrize(("before", "after"), [("sqlite", "postgres"), ("postgres", "sqlite")])
@pytest.mark.parametrize(("stage", "step"), [("Rows", 0), ("Rows", 4), ("Comparing", 2)])
async def test_killed_in_the_middle_it_is_done_again(
    before: str, after: str, stage: str, step: int, new_url: NewUrl, opened: Open
) -> None:
    source_url, url = new_url(before), new_url(after)
    source, target = opened(source_url), opened(url)
    await source.migrate(())
    await fill(source)
    contents = await contents_of(source)
    await source.aclose()  # whoever is connected counts as a server
    arguments = ("move", source_url, url, "-", stage, str(step))
    await kill_in_the_middle(*arguments)
    assert await target.portable().contents() == {}
    await move_database(opened(source_url), target, ())
    assert await contents_of(target) == contents
    assert await contents_of(opened(source_url)) == contents


async def test_a_target_with_something_in_it_is_left_alone(new_url: NewUrl, opened: Open, sqlite_url: str) -> None:
    source, target = opened(sqlite_url), opened(new_url("sqlite"))
    await fill(source)
    await move_database(source, target, ())
    contents = await contents_of(target)
    with pytest.raises(Conflict, match=r"not empty .*users 2"):
        await move_database(source, target, ())
    with pytest.raises(Conflict, match="not empty"):
        await move_database(source, source, ())
    assert await contents_of(target) == contents


async def test_a_source_that_is_served_is_refused(new_url: NewUrl, opened: Open, postgres_url: str) -> None:
    server, url = opened(postgres_url), new_url("sqlite")
    async with server.unit_of_work(readonly=True) as unit:
        await unit.plugin_states.latest()
        with pytest.raises(Conflict, match="stop every server"):
            await move_database(opened(postgres_url), opened(url), ())
    assert not parse_url(url).path.exists()


async def test_what_arrives_otherwise_than_it_was_sent_is_not_kept(
    new_url: NewUrl, opened: Open, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = opened(sqlite_url), opened(new_url("sqlite"))
    await fill(source)
    settle = SqliteLoading.settle

    async def tampered(loading: SqliteLoading, last_keys: Mapping[str, int]) -> None:
        await settle(loading, last_keys)
        await loading.connection.exec_driver_sql("update messages set text = text || ' '")

    monkeypatch.setattr(SqliteLoading, "settle", tampered)
    with pytest.raises(ConfigError, match="The table messages did not arrive"):
        await move_database(source, target, ())
    assert await target.portable().contents() == {}


@pytest.mark.parametrize("after", BOTH)
async def test_a_source_that_lacks_a_table_is_refused(new_url: NewUrl, opened: Open, after: str) -> None:
    url = new_url("sqlite")
    source, target = opened(url), opened(new_url(after))
    await source.migrate(())
    with sqlite3.connect(parse_url(url).path) as connection:
        connection.execute("drop table search_removed")
    connection.close()
    with pytest.raises(ConfigError, match="search_removed is missing"):
        await move_database(source, target, ())


async def test_values_that_a_database_cannot_keep_are_refused_whole(new_url: NewUrl, opened: Open) -> None:
    """SQLite may hold a NUL that somebody put there by hand; PostgreSQL knows none."""
    url = new_url("sqlite")
    source, target = opened(url), opened(new_url("postgres"))
    await source.migrate(())
    await fill(source)
    with sqlite3.connect(parse_url(url).path) as connection:
        connection.execute("update users set username = 'A' || char(0) || 'da'")
    connection.close()
    with pytest.raises(ConfigError, match="the table users"):
        await move_database(source, target, ())
    assert await target.portable().contents() == {}
