"""Context records and the texts that they name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from eudai_core.model import ContextRecord, Origin, SegmentKind, SegmentRecord
from eudai_sql.owners import OWNERS
from eudai_sql.repository import Repository
from eudai_sql.tables import context_records as table
from eudai_sql.texts import read_texts, store_texts
from eudai_sql.transaction import Row

__all__ = ["SqlContexts"]

_Document = tuple[str, UUID]
"""A file or page: its kind and id."""

_columns: Final = (
    table.c.run_id,
    table.c.step,
    table.c.message_id,
    table.c.conversation_id,
    table.c.model,
    table.c.system,
    table.c.user,
    table.c.history_from,
    table.c.left_out,
    table.c.report,
)
_add: Final = table.insert()
# Ids of runs rise with time, so the newest record is that of the highest run.
_of_message: Final = (
    sa.select(*_columns)
    .where(table.c.message_id == sa.bindparam("message"))
    .order_by(table.c.run_id.desc(), table.c.step.desc())
    .limit(1)
)
_ranked: Final = (
    sa.select(
        *_columns,
        sa.func.row_number()
        .over(partition_by=table.c.message_id, order_by=(table.c.run_id.desc(), table.c.step.desc()))
        .label("rank"),
    )
    .where(table.c.message_id.in_(sa.bindparam("messages", expanding=True)))
    .subquery()
)
_of_messages: Final = sa.select(*(_ranked.c[column.name] for column in _columns)).where(_ranked.c.rank == 1)
# Locked, so that a document is not deleted between this and the storing of a text of it.
_present: Final = {
    kind: sa.select(owners.c.id)
    .where(owners.c.id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(owners.c.id)
    .with_for_update(read=True, key_share=True)
    for kind, owners in OWNERS.items()
}


class SqlContexts(Repository):
    """See eudai_core.contracts.Contexts."""

    __slots__ = ()

    async def put(self, record: ContextRecord, texts: Mapping[str, str]) -> None:
        """Store a record and the texts not stored yet.

        The text of a segment of a file or page belongs to that and is erased with it; when that is gone already, the
        text is not stored. Every other text belongs to the conversation.
        """
        values = {column.name: getattr(record, column.name) for column in _columns}
        values |= {name: [asdict(segment) for segment in values[name]] for name in ("system", "user", "left_out")}
        await self._tx.run(_add, values)
        origins = _origins(record)
        present = await self._present(set().union(*origins.values()))
        owners: list[tuple[str, UUID]] = []
        for sha256 in texts:
            if sha256 not in origins:
                owners.append((sha256, record.conversation_id))
            owners += [(sha256, document[1]) for document in origins.get(sha256, set()) & present]
        await store_texts(self._tx, {sha256: texts[sha256] for sha256, _ in owners}, owners)

    async def of_message(self, answer_id: UUID) -> ContextRecord | None:
        """Return the newest record of an answer, or None."""
        row = await self._tx.row(_of_message, {"message": answer_id})
        return None if row is None else _record(row)

    async def of_messages(self, answer_ids: Sequence[UUID]) -> dict[UUID, ContextRecord]:
        """Return the newest records of several answers; without those that have none."""
        if not answer_ids:
            return {}
        records = [_record(row) for row in await self._tx.rows(_of_messages, {"messages": list(answer_ids)})]
        return {record.message_id: record for record in records}

    async def texts(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return texts by hash; an erased one is missing."""
        return await read_texts(self._tx, hashes)

    async def _present(self, documents: set[_Document]) -> set[_Document]:
        found: set[_Document] = set()
        for kind, statement in _present.items():
            if ids := sorted(key for other, key in documents if other == kind):
                found.update((kind, row[0]) for row in await self._tx.rows(statement, {"ids": ids}))
        return found


def _origins(record: ContextRecord) -> Mapping[str, set[_Document]]:
    """Return which files and pages each text comes from, by hash."""
    found: defaultdict[str, set[_Document]] = defaultdict(set)
    for segment in (*record.system, *record.user, *record.left_out):
        if segment.origin.type in OWNERS:
            try:
                document = segment.origin.type, UUID(segment.origin.id)
            except ValueError:
                # A plugin's own kind of document, with ids of its own: it belongs to the conversation.
                continue
            found[segment.sha256].add(document)
    return found


def _record(row: Row) -> ContextRecord:
    run_id, step, message_id, conversation_id, model, system, user, history_from, left_out, report = row
    return ContextRecord(
        run_id=run_id,
        step=step,
        message_id=message_id,
        conversation_id=conversation_id,
        model=model,
        system=[_segment(segment) for segment in system],
        user=[_segment(segment) for segment in user],
        history_from=history_from,
        left_out=[_segment(segment) for segment in left_out],
        report=report,
    )


def _segment(stored: dict[str, Any]) -> SegmentRecord:
    return SegmentRecord(**(stored | {"kind": SegmentKind(stored["kind"]), "origin": Origin(**stored["origin"])}))
