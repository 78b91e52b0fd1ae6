"""Migrations: complete, alike on both dialects, once however many start, without Alembic when nothing is to be done."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from eudai_core.errors import ConfigError, PluginError, StorageUnavailable
from eudai_core.model import HealthStatus, MigrationSource
from eudai_sql.alembic_run import _config, check
from eudai_sql.engines import migration_engine
from eudai_sql.file_lock import file_lock
from eudai_sql.history import CORE, in_order, read_history
from eudai_sql.migration import _LOCK_KEY
from eudai_sql.storage import open_storage
from eudai_sql.tables import metadata
from eudai_sql.url import parse_url
from support.postgres import PostgresServer, sqlite_file_url

HEAD = read_history(CORE).head
ALL = [f"core:{revision}" for revision in read_history(CORE).revisions]


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if request.param == "sqlite":
        yield sqlite_file_url(tmp_path / "eudai.db")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def extra_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MigrationSource:
    """A plugin's history with one revision."""
    package = tmp_path / "some_plugin_migrations"
    (package / "versions").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "versions" / "first.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision: str = 'plug1'\ndown_revision = None\n"
        "def upgrade():\n    op.create_table('p_some_plugin_things', sa.Column('id', sa.Integer, primary_key=True),\n"
        "        sa.Column('user_id', sa.Uuid, sa.ForeignKey('users.id')))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    return MigrationSource("some_plugin", package.name)


async def migrated(url: str, *sources: MigrationSource, dry_run: bool = False) -> list[str]:
    storage = open_storage(url)
    try:
        return list(await storage.migrate(sources, dry_run=dry_run))
    finally:
        await storage.aclose()


async def run_sql(url: str, *statements: str) -> None:
    engine = migration_engine(parse_url(url))
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(sa.text(statement))
    await engine.dispose()


async def test_empty_database_is_brought_to_the_tables_of_the_program(empty_url: str) -> None:
    assert await migrated(empty_url, dry_run=True) == ALL
    assert await migrated(empty_url) == ALL
    assert await migrated(empty_url) == []
    engine = migration_engine(parse_url(empty_url))
    async with engine.connect() as connection:
        await connection.run_sync(check, read_history(CORE), metadata)
    await engine.dispose()


async def test_four_processes_at_once_migrate_once(empty_url: str) -> None:
    script = (
        "import asyncio, sys\nfrom eudai_sql.storage import open_storage\n"
        "async def main():\n    storage = open_storage(sys.argv[1])\n"
        "    print(*await storage.migrate(()))\n    await storage.aclose()\n"
        "asyncio.run(main())\n"
    )
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, empty_url, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    results = [await process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, results
    assert sorted(out.decode().split() for out, _ in results) == [[], [], [], ALL]


async def test_failed_migration_leaves_nothing_half_done(empty_url: str, extra_source: MigrationSource) -> None:
    await migrated(empty_url)
    await run_sql(empty_url, "create table p_some_plugin_things (id integer)")
    with pytest.raises(PluginError, match="plug1 failed"):
        await migrated(empty_url, extra_source)
    await run_sql(empty_url, "drop table p_some_plugin_things")
    assert await migrated(empty_url, extra_source) == ["some_plugin:plug1"]


async def test_plugin_has_its_own_history_and_may_be_removed(empty_url: str, extra_source: MigrationSource) -> None:
    assert await migrated(empty_url, extra_source) == [*ALL, "some_plugin:plug1"]
    assert await migrated(empty_url, extra_source) == []
    assert await migrated(empty_url) == []


async def test_newer_database_is_refused_with_a_sentence(database_url: str) -> None:
    await run_sql(database_url, "update alembic_version_core set version_num = '9999'")
    with pytest.raises(ConfigError, match="newer version"):
        await migrated(database_url)
    storage = open_storage(database_url)
    health = await storage.health()
    await storage.aclose()
    assert (health.status, "newer" in health.detail) == (HealthStatus.DOWN, True)
    await run_sql(database_url, f"update alembic_version_core set version_num = '{HEAD}'")


async def test_start_without_anything_to_migrate_needs_no_alembic(sqlite_url: str) -> None:
    script = (
        "import asyncio, sys\nfrom eudai_sql.storage import open_storage\n"
        "async def main():\n    storage = open_storage(sys.argv[1])\n"
        "    assert await storage.migrate(()) == []\n    await storage.aclose()\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith(('alembic', 'mako'))])\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, sqlite_url, stdout=subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"


async def test_migration_waits_for_another_process(postgres_server: PostgresServer) -> None:
    url = await asyncio.to_thread(postgres_server.create_database)
    other = await asyncpg.connect(url)
    await other.execute(f"select pg_advisory_lock({_LOCK_KEY})")
    waiting = asyncio.create_task(migrated(url))
    seen = "select count(*) from pg_stat_activity where datname = current_database() and query like '%try_advisory%'"
    while await other.fetchval(seen) < 2:  # ours is the other one
        assert not waiting.done()
    await other.close()
    assert await waiting == ALL
    await asyncio.to_thread(postgres_server.drop_database, url)


async def test_lock_file_that_stays_locked_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    async with file_lock(path, seconds=0):
        with pytest.raises(StorageUnavailable, match="Another process"):
            await file_lock(path, seconds=0).__aenter__()
    async with file_lock(path, seconds=0):
        pass
    with pytest.raises(StorageUnavailable, match="cannot be written"):
        await file_lock(tmp_path / "missing" / "lock", seconds=0).__aenter__()


async def test_migration_that_finds_rows_without_owner_is_undone(
    sqlite_url: str, extra_source: MigrationSource
) -> None:
    await run_sql(sqlite_url, f"insert into search_scopes (project_id, collection) values ('{'0' * 32}', 'x')")
    with pytest.raises(ConfigError, match="1 rows"):
        await migrated(sqlite_url, extra_source)
    await run_sql(sqlite_url, "delete from search_scopes")
    assert await migrated(sqlite_url, extra_source) == ["some_plugin:plug1"]


def test_history_read_from_files_is_what_alembic_reads() -> None:
    history = read_history(CORE)
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        directory = ScriptDirectory.from_config(_config(connection, history, metadata))
    engine.dispose()
    assert directory.get_heads() == [history.head]
    walked = [script.revision for script in directory.walk_revisions()]
    assert walked[::-1] == list(history.revisions)


async def test_downgrading_everything_leaves_no_table(tmp_path: Path) -> None:
    from alembic import command

    url = sqlite_file_url(tmp_path / "eudai.db")
    await migrated(url)
    engine = migration_engine(parse_url(url))

    def down(connection: sa.Connection) -> list[str]:
        command.downgrade(_config(connection, read_history(CORE), metadata), "base")
        return sa.inspect(connection).get_table_names()

    async with engine.connect() as connection:
        assert await connection.run_sync(down) == ["alembic_version_core"]
    await engine.dispose()


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a.py": "revision = 'a'\ndown_revision = None\n", "b.py": "revision = 'b'\ndown_revision = None\n"},
        {"a.py": "revision = 'a'\ndown_revision = 'missing'\n"},
        {"a.py": "revision = 'a'\ndown_revision = 'b'\n", "b.py": "revision = 'b'\ndown_revision = 'a'\n"},
    ],
)
def test_history_that_is_no_line_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    package = tmp_path / f"bad_history_{len(files)}_{abs(hash(str(files)))}"
    (package / "versions").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name, text in files.items():
        (package / "versions" / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match="one line"):
        read_history(MigrationSource("bad", package.name))


def test_missing_package_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be found"):
        read_history(MigrationSource("bad", "no_such_package_at_all"))


def test_sources_are_put_after_what_they_depend_on() -> None:
    sources = [MigrationSource("c", "c", ["b", "core"]), MigrationSource("a", "a"), MigrationSource("b", "b", ["a"])]
    assert [source.branch for source in in_order(sources)] == ["core", "a", "b", "c"]


@pytest.mark.parametrize(
    "sources",
    [
        [MigrationSource("a", "a", ["b"]), MigrationSource("b", "b", ["a"])],
        [MigrationSource("a", "a", ["missing"])],
        [MigrationSource("a", "a"), MigrationSource("a", "b")],
        [MigrationSource("core", "a")],
    ],
)
def test_sources_that_do_not_fit_together_are_refused(sources: list[MigrationSource]) -> None:
    with pytest.raises(ConfigError):
        in_order(sources)
