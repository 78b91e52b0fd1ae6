"""Databases full of awkward things, and what is in a database, to compare."""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from eudai_core.backup.capability import portable
from eudai_core.contracts import Storage
from eudai_core.ids import new_id
from eudai_core.model import (
    ApiKey,
    DocumentStatus,
    DocumentVersion,
    Instruction,
    Invite,
    MigrationSource,
    SigningKeyRecord,
    StoredAnswer,
    Url,
)
from eudai_sql.engines import migration_engine
from eudai_sql.storage import SqlStorage, open_storage
from eudai_sql.types import UtcDateTime
from eudai_sql.url import parse_url
from support.postgres import sqlite_file_url
from support.sql_rows import NOW, Rows, at

__all__ = [
    "BOTH",
    "TEXTS",
    "NewUrl",
    "Open",
    "contents_of",
    "fill",
    "fill_odd",
    "new_url",
    "odd",
    "odd_source",
    "opened",
]

NewUrl = Callable[[str], str]
Open = Callable[[str], SqlStorage]
BOTH = ("sqlite", "postgres")
_numbers = itertools.count(1)

TEXTS = (
    "",
    " \t\n\r\v\f\x1c\x7f\\ \\N \\. \\t \\x41 'single' \"double\" `back` ; -- /* */ % _ {} $1 :name ?",
    "\x01\x02\x1f \u0085\u2028\u2029\ufeff\uffff",
    "e\u0301 \u202eright to left\u202c שלום مرحبا 日本語 👩‍👩‍👧‍👦 🏳️‍🌈",
    '{"json": [1, null, "\\u0000 escaped"]}',
    "x" * 300_000,
)
"""Every character that a format in between might stumble over."""

_ODD = '''
"""Tables with a column of every type, rows that refer to each other, and a generated key."""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision: str = "odd1"
down_revision = None
_json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade():
    op.create_table(
        "p_odd_values",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, primary_key=True),
        sa.Column("key", sa.Uuid()),
        sa.Column("select", sa.Text()),
        sa.Column("big", sa.BigInteger()),
        sa.Column("real", sa.Double()),
        sa.Column("exact", sa.Numeric(30, 10)),
        sa.Column("truth", sa.Boolean()),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.Column("local", sa.DateTime()),
        sa.Column("day", sa.Date()),
        sa.Column("data", sa.LargeBinary()),
        sa.Column("json", _json),
        sa.Column("next", sa.BigInteger(), sa.ForeignKey("p_odd_values.id")),
    )
    op.create_table(
        "p_odd_loose",
        sa.Column("value", sa.BigInteger(), sa.ForeignKey("p_odd_values.id", ondelete="CASCADE"), nullable=False),
        sa.Column("text", sa.Text()),
    )
'''

_values = sa.table(
    "p_odd_values",
    sa.column("id", sa.BigInteger()),
    sa.column("key", sa.Uuid()),
    sa.column("select", sa.Text()),
    sa.column("big", sa.BigInteger()),
    sa.column("real", sa.Double()),
    sa.column("exact", sa.Numeric(30, 10)),
    sa.column("truth", sa.Boolean()),
    sa.column("at", UtcDateTime()),
    sa.column("local", sa.DateTime()),
    sa.column("day", sa.Date()),
    sa.column("data", sa.LargeBinary()),
    sa.column("json", sa.JSON()),
    sa.column("next", sa.BigInteger()),
)
_loose = sa.table("p_odd_loose", sa.column("value", sa.BigInteger()), sa.column("text", sa.Text()))
_NOTHING: Mapping[str, Any] = {column.name: None for column in _values.c}


def odd_source(directory: Path, monkeypatch: pytest.MonkeyPatch) -> MigrationSource:
    """Make the migrations of a plugin with odd tables, importable for the running test."""
    package = directory / "odd_migrations"
    (package / "versions").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "versions" / "first.py").write_text(_ODD)
    monkeypatch.syspath_prepend(str(directory))
    return MigrationSource("odd", package.name)


async def fill(storage: Storage) -> Rows:
    """Store objects of every kind through the repositories, with awkward texts in them."""
    rows = Rows(storage)
    await rows.begin()
    parent = None
    for text in TEXTS:
        # The youngest id first in the chain, so that no order of keys puts parents before their children.
        parent = (await rows.add_message(parent, text=text)).id
    for number, body in enumerate((b"", b"\x00\xff\n\\x", bytes(range(256)) * 1000)):
        await rows.add_file(f"file {number} \t.txt", body)
    await rows.add_run()
    await _fill_accounts(rows)
    await _fill_documents(rows)
    return rows


async def _fill_documents(rows: Rows) -> None:
    page = Url(new_id(), rows.project.id, "".join(TEXTS), TEXTS[1], rows.user.id, NOW, TEXTS[2], error=TEXTS[4])
    instruction = Instruction(new_id(), rows.project.id, TEXTS[3], NOW)
    key = new_id()
    version = DocumentVersion(key, "url", page.id, rows.project.id, 1, "d" * 64, f"blob/{key}", "text/html", 1, NOW)
    async with rows.storage.unit_of_work() as work:
        await work.urls.add(page)
        await work.documents.add_version(version)
        await work.documents.finish_version(key, status=DocumentStatus.READY, text=TEXTS[4])
        await work.documents.add_instruction(instruction)
        for seconds, text in enumerate(TEXTS):
            changed = replace(instruction, instruction_text=text)
            await work.documents.update_instruction(changed, expected_version=None, at=at(seconds))
        await work.commit()


async def _fill_accounts(rows: Rows) -> None:
    guest = await rows.add_user("Guest")
    odd_text, odd_bytes = "".join(TEXTS), bytes(range(256))
    async with rows.storage.unit_of_work() as work:
        await work.api_keys.add(ApiKey(new_id(), rows.user.id, odd_text, frozenset({"a", "b"}), NOW, at(9)), "a" * 64)
        await work.invites.add(Invite(new_id(), None, NOW, at(9), odd_text, guest.id, at(1)), "b" * 64)
        await work.signing_keys.add(SigningKeyRecord(TEXTS[1], NOW))
        await work.login_failures.add(TEXTS[:-1], at=NOW, forget_before=NOW)
        await work.answers.begin(
            rows.user.id, TEXTS[1], StoredAnswer("c", NOW, 201, {"a": odd_text}, odd_bytes), stale_before=NOW
        )
        await work.commit()


async def fill_odd(url: str) -> None:
    """Store odd values into the tables of the odd plugin."""
    given: list[dict[str, Any]] = [
        {"big": 2**63 - 1, "real": 0.1 + 0.2, "exact": Decimal("12345.0123456789"), "truth": True},
        {"big": -(2**63), "real": 1e300, "exact": Decimal("-0.5"), "truth": False},
        {"big": 2**53 + 1, "real": 5e-324, "exact": Decimal(100), "json": "only a text", "key": UUID(int=1)},
        {"big": 0, "real": -0.0, "exact": Decimal(0), "json": sa.JSON.NULL, "key": new_id()},
        {"at": at(0.000001), "local": NOW.replace(tzinfo=None), "day": datetime.date(2024, 2, 29)},
        {"at": datetime.datetime(1, 1, 2, tzinfo=datetime.UTC), "json": {"deep": {"a": [None, True, {"é": "\t"}]}}},
        {"data": b"", "select": ""},
        {"data": bytes(range(256)), "select": TEXTS[1], "json": list(TEXTS[1:5])},
        {"real": float("inf"), "json": {}},
        {"real": 3.0, "json": [3.0, 3, 1e-7]},
        {"json": {"b": 1, "a": 2}},
        {"json": ["text", 1.5, 10**25, 1e22, -0.0]},
    ]
    engine = migration_engine(parse_url(url))
    async with engine.begin() as connection:
        for number, values in enumerate(given, start=1):
            row = {**_NOTHING, **values, "id": 1000 + number}
            row["json"] = sa.null() if row["json"] is None else row["json"]
            await connection.execute(sa.insert(_values).values(row))
        # In a circle, and one at itself.
        await connection.execute(sa.update(_values).where(_values.c.id == 1001).values(next=1010))
        await connection.execute(sa.update(_values).where(_values.c.id == 1010).values(next=1001))
        await connection.execute(sa.update(_values).where(_values.c.id == 1005).values(next=1005))
        # Without a key, and twice the same.
        await connection.execute(
            sa.insert(_loose), [{"value": 1001, "text": "same"}] * 2 + [{"value": 1002, "text": None}]
        )
    await engine.dispose()


async def contents_of(storage: Storage) -> dict[str, list[str]]:
    """Return every row of every table, sorted, as text."""
    found: dict[str, list[str]] = {}
    async with portable(storage).snapshot() as snapshot:
        for table in snapshot.tables:
            columns = sorted(table.columns)
            shape = type(table)(table.name, tuple(columns))
            lines = [
                json.dumps(dict(zip(columns, row, strict=True)), sort_keys=True)
                async for batch in snapshot.rows(shape)
                for row in batch
            ]
            found[table.name] = sorted(lines)
    return found


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewUrl]:
    """Gives the URL of another database without tables, ``sqlite`` or ``postgres``, at each call."""
    made: list[str] = []

    def call(dialect: str) -> str:
        if dialect == "sqlite":
            return sqlite_file_url(tmp_path / f"database-{next(_numbers)}" / "eudai.db")
        made.append(request.getfixturevalue("postgres_server").create_database())
        return made[-1]

    yield call
    for url in made:
        request.getfixturevalue("postgres_server").drop_database(url)


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Opens storages by URL, and closes them at the end."""
    storages: list[SqlStorage] = []

    def call(url: str) -> SqlStorage:
        storages.append(open_storage(url))
        return storages[-1]

    yield call
    for storage in storages:
        await storage.aclose()


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MigrationSource:
    """The migrations of a plugin with odd tables."""
    return odd_source(tmp_path, monkeypatch)
