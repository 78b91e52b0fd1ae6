"""URLs, column types, cursors, and the plugin's registrations."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from eudai_core.errors import ConfigError, InvalidInput
from eudai_core.ids import new_id
from eudai_core.settings import CoreSettings, Secret
from eudai_sql import factories, keyset, plugin
from eudai_sql.bus import LocalEventBus
from eudai_sql.notify import NotifyEventBus
from eudai_sql.search_index import SqlSearchIndex
from eudai_sql.settings import DatabaseSettings
from eudai_sql.storage import open_storage
from eudai_sql.types import UtcDateTime, clean, dump_json, load_json
from eudai_sql.url import parse_url


@pytest.mark.parametrize(
    ("url", "dsn", "description"),
    [
        ("postgres://u:p@h:5/d", "postgresql://u:p@h:5/d", "PostgreSQL database d at h:5"),
        (
            "postgresql+asyncpg://u:p@h/d?sslmode=require",
            "postgresql://u:p@h/d?sslmode=require",
            "PostgreSQL database d at h",
        ),
        ("postgresql://u@/d?host=/run/pg", "postgresql://u@/d?host=/run/pg", "PostgreSQL database d at /run/pg"),
    ],
)
def test_postgresql_url(url: str, dsn: str, description: str) -> None:
    parsed = parse_url(url)
    assert (parsed.dialect, parsed.dsn, parsed.description) == ("postgresql", dsn, description)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////data/a%20b.db", "/data/a b.db"),
        ("sqlite+aiosqlite:///rel/eudai.db?x=1", "rel/eudai.db"),
    ],
)
def test_sqlite_url(url: str, path: str) -> None:
    parsed = parse_url(url)
    assert (parsed.dialect, parsed.path, parsed.description) == ("sqlite", Path(path), f"SQLite at {path}")


@pytest.mark.parametrize(
    "url", ["", "sqlite://", "sqlite:///:memory:", "mysql://u:secret@h/d", "u:secret@h", "postgresql://u:secret@h:x/d"]
)
def test_other_urls_are_refused_without_telling_their_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(url)
    assert "secret" not in caught.value.detail


def test_too_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 34, 1))
    with pytest.raises(ConfigError, match="newer Python"):
        open_storage("sqlite:////data/eudai.db")


@given(st.text())
def test_text_is_clean_exactly_when_it_is_utf8_without_nul(text: str) -> None:
    # Hypothesis makes no surrogates here; see below for those.
    if "\x00" in text:
        with pytest.raises(InvalidInput):
            clean(text)
    else:
        assert clean(text) == text


_storable = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _storable,
    lambda inner: st.lists(inner) | st.dictionaries(_storable, inner),
)


@given(json_values)
def test_json_comes_back_equal(value: Any) -> None:
    assert load_json(dump_json(value)) == value


@pytest.mark.parametrize("text", ["\x00", "a\\\x00", "\\\\\x00", "\ud800", "a\udfff"])
def test_json_with_text_that_cannot_be_stored_is_refused(text: str) -> None:
    for value in (text, [text], {text: 1}, {"a": {"b": text}}):
        with pytest.raises(InvalidInput):
            dump_json(value)


def test_json_takes_mappings_ids_and_text_that_looks_escaped() -> None:
    key = new_id()
    value = MappingProxyType({"id": key, "text": "\\u0000 \\\\u0000"})
    assert load_json(dump_json(value)) == {"id": str(key), "text": "\\u0000 \\\\u0000"}
    with pytest.raises(TypeError):
        dump_json(object())


def test_times_are_stored_in_utc_and_never_naive() -> None:
    kind, dialect = UtcDateTime(), sqlite.dialect()
    east = datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
    assert kind.process_bind_param(east, dialect) == datetime(2026, 1, 1, tzinfo=UTC)
    assert kind.process_result_value(datetime(2026, 1, 1), dialect) == datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="zone"):
        kind.process_bind_param(datetime(2026, 1, 1), dialect)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_cursor_leads_back_to_where_the_page_ended(at: datetime, key: UUID) -> None:
    page = keyset.page([(at, key), (at, key)], 1, lambda item: item)
    assert page.next is not None
    assert keyset.position(page.next) == {"cursor_at": at, "cursor_id": key}
    assert keyset.page([(at, key)], 1, lambda item: item).next is None


class Context:
    """What the factories ask of the host."""

    def __init__(self, database: DatabaseSettings, core: CoreSettings) -> None:
        self._sections: dict[type[Any], Any] = {DatabaseSettings: database, CoreSettings: core}
        self.storage: Any = object()

    def settings(self, schema: type[Any]) -> Any:
        return self._sections[schema]

    async def run_blocking(self, function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.to_thread(function, *args)


async def test_without_a_url_the_database_is_a_file_in_the_data_directory(tmp_path: Path) -> None:
    directory = tmp_path / "new 100%"
    context: Any = Context(DatabaseSettings(), CoreSettings(data_dir=directory))
    storage = await factories.storage(context)
    assert storage.single_process
    assert storage.description == f"SQLite at {directory / 'eudai.db'}"
    await storage.migrate(())
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "eudai.db").exists()
    await storage.aclose()


async def test_with_a_url_it_is_what_the_url_says(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=Secret("postgresql://u:secret@h/d"), pool_size=3)
    context: Any = Context(settings, CoreSettings(data_dir=tmp_path))
    storage = await factories.storage(context)
    assert not storage.single_process
    assert storage.description == "PostgreSQL database d at h"
    await storage.aclose()


def test_other_factories_make_their_objects(tmp_path: Path) -> None:
    context: Any = Context(DatabaseSettings(), CoreSettings(data_dir=tmp_path))
    assert isinstance(factories.search_index(context), SqlSearchIndex)
    assert isinstance(factories.event_bus(context), LocalEventBus)
    assert isinstance(factories.local_event_bus(context), LocalEventBus)


@pytest.mark.parametrize(
    ("url", "direct_url", "dsn"),
    [
        ("postgres://u@h/d", None, "postgresql://u@h/d"),
        ("postgresql://u@pooler/d", "postgresql+asyncpg://u@direct/d", "postgresql://u@direct/d"),
    ],
)
async def test_the_bus_of_postgresql_leads_around_the_pooler(
    tmp_path: Path, url: str, direct_url: str | None, dsn: str
) -> None:
    settings = DatabaseSettings(url=Secret(url), direct_url=None if direct_url is None else Secret(direct_url))
    context: Any = Context(settings, CoreSettings(data_dir=tmp_path))
    bus = factories.event_bus(context)
    assert isinstance(bus, NotifyEventBus)
    assert bus._dsn == dsn
    await bus.aclose()


def test_the_bus_of_sqlite_is_for_one_process(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=Secret("sqlite:////tmp/x.db"))
    context: Any = Context(settings, CoreSettings(data_dir=tmp_path))
    assert isinstance(factories.event_bus(context), LocalEventBus)


def test_plugin_registers_by_late_names() -> None:
    registered: list[tuple[str, Any]] = []

    def note(name: str, target: Any) -> None:
        registered.append((name, target))

    register: Any = note
    plugin.eudai_register_settings(register)
    plugin.eudai_register_storage(register)
    plugin.eudai_register_search_indexes(register)
    plugin.eudai_register_event_buses(register)
    assert registered == [
        ("database", DatabaseSettings),
        ("sql", "eudai_sql.factories:storage"),
        ("sql", "eudai_sql.factories:search_index"),
        ("sql", "eudai_sql.factories:event_bus"),
        ("local", "eudai_sql.factories:local_event_bus"),
    ]


def test_importing_the_plugin_imports_nothing_heavy() -> None:
    script = "import sys, eudai_sql; print([m for m in ('sqlalchemy', 'asyncpg', 'msgspec') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
