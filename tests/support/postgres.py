"""Migrated, empty databases for tests, on a real PostgreSQL and on SQLite.

PostgreSQL is that of ``EUDAI_TEST_DATABASE_URL`` (a database whose user may create others), else a server of our own:
see support.postgres_server.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from support.postgres_server import PostgresServer, own_server, run_apart

__all__ = [
    "PostgresServer",
    "database_url",
    "migrate",
    "postgres_server",
    "postgres_url",
    "private_postgres_server",
    "sqlite_file_url",
    "sqlite_template",
    "sqlite_url",
]

_EMPTY = """
do $$
declare
    name text;
    filled boolean;
    names text[] := '{}';
begin
    for name in select quote_ident(tablename) from pg_tables
        where schemaname = current_schema() and tablename not like 'alembic_version%' loop
        execute 'select exists (select from ' || name || ')' into filled;
        if filled then names := names || name; end if;
    end loop;
    if names <> '{}' then execute 'truncate ' || array_to_string(names, ', ') || ' cascade'; end if;
end $$
"""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server that all tests share. Do not stop it: see private_postgres_server."""
    url = os.environ.get("EUDAI_TEST_DATABASE_URL")
    if url:
        yield PostgresServer(url)
        return
    yield from own_server()


@pytest.fixture
def private_postgres_server() -> Iterator[PostgresServer]:
    """A server for one test, which may stop, freeze and crash it."""
    yield from own_server()


class _Databases:
    """Migrated, empty databases. One that a test is done with is emptied and used again, which is the quicker way."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._free: list[str] = []
        self._template = server.create_database()
        run_apart(migrate(self._template))

    def take(self) -> str:
        if self._free:
            return self._free.pop()
        return self._server.create_database(urlsplit(self._template).path.lstrip("/"))

    def give_back(self, url: str) -> None:
        if run_apart(_emptied(url)):
            self._free.append(url)
        else:
            self._server.drop_database(url)

    def drop(self) -> None:
        for url in (*self._free, self._template):
            self._server.drop_database(url)


async def _emptied(url: str) -> bool:
    """Empty a database's tables; False when somebody is still connected or it cannot be done."""
    import asyncpg  # type: ignore[import-untyped]  # it ships no types

    connection = await asyncpg.connect(url, timeout=10)
    try:
        others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        if await connection.fetchval(others):
            return False
        await connection.execute(_EMPTY)
        return True
    except asyncpg.PostgresError:
        return False
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def _postgres_databases(postgres_server: PostgresServer) -> Iterator[_Databases]:
    databases = _Databases(postgres_server)
    yield databases
    databases.drop()


@pytest.fixture
def postgres_url(_postgres_databases: _Databases) -> Iterator[str]:
    """The URL of a migrated, empty PostgreSQL database of the test's own."""
    url = _postgres_databases.take()
    yield url
    _postgres_databases.give_back(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    run_apart(migrate(sqlite_file_url(path)))
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a migrated, empty SQLite database of the test's own."""
    path = tmp_path / "eudai.db"
    shutil.copy(sqlite_template, path)
    return sqlite_file_url(path)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated, empty database; the test runs on SQLite and on PostgreSQL."""
    return str(request.getfixturevalue(f"{request.param}_url"))


def sqlite_file_url(path: Path) -> str:
    """Return the URL of an SQLite file."""
    return f"sqlite:///{quote(str(path))}"


async def migrate(url: str) -> None:
    """Bring a database's core tables to the newest revision."""
    from eudai_sql.storage import open_storage

    storage = open_storage(url)
    try:
        await storage.migrate(())
    finally:
        await storage.aclose()
