"""Whether everything in a database belongs to something: foreign keys, and the keys that no foreign key can hold."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from eudai_core.contracts import Storage
from eudai_sql.tables import metadata
from eudai_sql.unit_of_work import SqlUnitOfWork

__all__ = ["active_runs", "orphans", "rows", "unnamed_blobs", "wrong_blobs"]

# (child table, its column, condition, what it must be one of)
_KEYS: Sequence[tuple[str, str, str, str]] = (
    ("document_versions", "owner_id", "owner_type = 'file'", "select id from files"),
    ("document_versions", "owner_type", "true", "select 'file'"),
    ("document_versions", "text_sha256", "status = 'ready'", "select sha256 from texts"),
    ("files", "path", "true", "select blob_key from document_versions v where v.owner_id = child.id"),
    ("files", "current_version", "true", "select number from document_versions v where v.owner_id = child.id"),
    ("conversations", "owner_id", "true", "select owner_id from projects p where p.id = child.project_id"),
    ("conversations", "active_message_id", "true", "select id from messages m where m.conversation_id = child.id"),
    ("messages", "parent_id", "true", "select id from messages m where m.conversation_id = child.conversation_id"),
    ("runs", "message_id", "true", "select id from messages m where m.conversation_id = child.conversation_id"),
    ("runs", "answer_id", "true", "select id from messages m where m.parent_id = child.message_id"),
    ("runs", "user_id", "true", "select p.owner_id from projects p join conversations c on c.project_id = p.id"
     " where c.id = child.conversation_id"),
    ("commands", "run_id", "true", "select id from runs r where r.conversation_id = child.conversation_id"),
    ("commands", "message_id", "true", "select message_id from runs r where r.id = child.run_id"),
    ("commands", "answer_id", "true", "select answer_id from runs r where r.id = child.run_id"),
    ("events", "run_id", "true", "select id from runs r where r.conversation_id = child.conversation_id"),
    ("context_records", "run_id", "true", "select id from runs r where r.conversation_id = child.conversation_id"),
    ("context_records", "message_id", "true", "select answer_id from runs r where r.id = child.run_id"),
    ("texts", "sha256", "true", "select sha256 from text_owners"),
    ("text_owners", "owner_id", "true", "select id from files union select id from conversations"),
    ("search_documents", "document_id", "true", "select id from files union select id from messages"),
)  # fmt: skip
_ALONE: Sequence[tuple[str, str]] = (
    ("a client_id twice in one conversation",
     "select conversation_id, client_id from messages where client_id is not null"
     " group by conversation_id, client_id having count(*) > 1"),
    ("two runs of one conversation at once",
     "select conversation_id from runs where status = 'running' group by conversation_id having count(*) > 1"),
    ("an answer that is being made by nobody",
     "select id from messages where status = 'pending'"
     " and id not in (select answer_id from runs where status in ('queued', 'running'))"),
    ("a run that ended beside its answer",
     "select r.id from runs r join messages m on m.id = r.answer_id"
     " where r.status not in ('queued', 'running') and r.status <> m.status"
     " and not exists (select 1 from runs later where later.answer_id = r.answer_id and later.id > r.id)"),
    ("an event numbered above what was leased",
     "select seq from events e where seq > (select next_seq from conversations c where c.id = e.conversation_id)"),
)  # fmt: skip


async def rows(storage: Storage, statement: str) -> list[Any]:
    """Return the rows of a statement."""
    async with storage.unit_of_work(readonly=True) as unit:
        return list(await cast("SqlUnitOfWork", unit).transaction.rows(sa.text(statement), {}))


async def active_runs(storage: Storage) -> int:
    """Return how many runs are queued or running."""
    return int((await rows(storage, "select count(*) from runs where status in ('queued', 'running')"))[0][0])


async def orphans(storage: Storage) -> list[str]:
    """Return what belongs to nothing, a line each, as one state of the database shows it."""
    found: list[str] = []
    async with storage.unit_of_work(readonly=True) as unit:
        transaction = cast("SqlUnitOfWork", unit).transaction
        for name, statement in (*_foreign_keys(), *_logical_keys(), *_ALONE):
            there = await transaction.rows(sa.text(f"{statement} limit 3"), {})
            found += [f"{name}: {tuple(row)}" for row in there]
        if transaction.dialect == "sqlite":
            for pragma, well in (("foreign_key_check", []), ("quick_check", [("ok",)])):
                told = [tuple(row) for row in await transaction.rows(sa.text(f"pragma {pragma}"), {})]
                found += [f"{pragma}: {row}" for row in told if told != well]
    return found


def _foreign_keys() -> list[tuple[str, str]]:
    keys = []
    for table in metadata.sorted_tables:
        for key in (element for constraint in table.foreign_key_constraints for element in constraint.elements):
            parent, column, there = key.column.table.name, key.parent.name, key.column.name
            found = f'select 1 from "{parent}" parent where parent."{there}" = child."{column}"'
            orphan = f'child."{column}" is not null and not exists ({found})'
            statement = f'select child."{column}" from "{table.name}" child where {orphan}'
            keys.append((f"{table.name}.{column} names no {parent}", statement))
    return keys


def _logical_keys() -> list[tuple[str, str]]:
    return [
        (
            f"{table}.{column} names nothing",
            f"select {column} from {table} child where {column} is not null and {condition}"
            f" and {column} not in ({parents})",
        )
        for table, column, condition, parents in _KEYS
        if table in metadata.tables and column in metadata.tables[table].c
    ]


async def wrong_blobs(storage: Storage, data: Path) -> list[str]:
    """Return the blobs that rows name and that are not there with their SHA-256."""
    named = await rows(storage, "select distinct blob_key, sha256 from document_versions")

    def look() -> list[str]:
        wrong = []
        for key, sha256 in named:
            path = data / "blobs" / "files" / key
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                wrong.append(f"blob {key} is {'wrong' if path.is_file() else 'not there'}")
        return wrong

    return await asyncio.to_thread(look)


async def unnamed_blobs(storage: Storage, data: Path) -> int:
    """Return how many blobs lie on the disk that neither a row nor a job names: they take room, and harm nobody."""
    named = {row[0] for row in await rows(storage, "select blob_key from document_versions")}
    named |= {row[0] for row in await rows(storage, "select key from jobs where kind = 'blob-delete'")}
    root = data / "blobs" / "files"
    return await asyncio.to_thread(
        lambda: sum(str(path.relative_to(root)) not in named for path in root.rglob("*") if path.is_file())
    )
