"""The rows of the search index: how they are locked, added and taken away.

Whoever writes to a scope holds its row, and takes such rows in the order of their keys, after those of projects and of
conversations: so writers of one scope take turns, and never wait for each other in a circle. The project's row keeps
its deletion, which takes the whole scope along, from coming in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from eudai_core.errors import Conflict, NotFound
from eudai_core.model import Passage, SearchCollection, SearchDocument, SearchScope
from eudai_sql.packing import pack, pack_rising, width_code
from eudai_sql.segments import Segment
from eudai_sql.tables import (
    conversations,
    passages,
    postings,
    projects,
    search_documents,
    search_removed,
    search_scopes,
    search_segments,
)
from eudai_sql.transaction import Transaction

__all__ = [
    "BATCH",
    "add_documents",
    "add_passages",
    "add_segment",
    "forget",
    "gone_groups",
    "hold_scopes",
    "is_there",
    "open_scopes",
    "publish",
    "remove_documents",
    "remove_unfinished",
]

_keys: Final[sa.BindParameter[Any]] = sa.bindparam("keys", expanding=True)
_projects: Final = (
    sa.select(projects.c.id)
    .where(projects.c.id.in_(_keys))
    .order_by(projects.c.id)
    .with_for_update(key_share=True, read=True)
)
_groups: Final = (
    sa.select(conversations.c.id)
    .where(conversations.c.id.in_(_keys))
    .order_by(conversations.c.id)
    .with_for_update(key_share=True, read=True)
)
_add_scope: Final = insert(search_scopes).on_conflict_do_nothing()
_scopes: Final = sa.select(search_scopes.c.id, search_scopes.c.project_id, search_scopes.c.collection)
_of_projects: Final = _scopes.where(search_scopes.c.project_id.in_(_keys))
_hold: Final = _scopes.where(search_scopes.c.id.in_(_keys)).order_by(search_scopes.c.id).with_for_update()

_add_documents: Final = search_documents.insert().returning(search_documents.c.document_id, search_documents.c.id)
_add_passages: Final = passages.insert().returning(passages.c.document, passages.c.number, passages.c.id)
_add_segment: Final = search_segments.insert().returning(search_segments.c.id)
_add_postings: Final = postings.insert()

_this: Final = search_documents.c.id == sa.bindparam("key")
_exists: Final = sa.select(search_documents.c.id).where(_this)
_ready: Final = search_documents.update().where(_this).values(ready=True)
_use: Final = search_segments.update().where(search_segments.c.document == sa.bindparam("key")).values(document=None)
_named: Final = sa.or_(
    search_documents.c.document_id.in_(_keys),
    search_documents.c.group_id.in_(_keys),
)
_scopes_of: Final = sa.select(search_documents.c.scope).where(_named).distinct()
_found: Final = sa.select(search_documents.c.id, search_documents.c.scope).where(
    _named, search_documents.c.id != sa.bindparam("spared")
)
_note: Final = search_removed.insert().from_select(
    ["scope", "passage"],
    sa.select(search_documents.c.scope, passages.c.id)
    .join_from(search_documents, passages, passages.c.document == search_documents.c.id)
    .where(search_documents.c.id.in_(_keys), search_documents.c.ready),
)
_delete: Final = search_documents.delete().where(search_documents.c.id.in_(_keys))
_delete_unfinished: Final = search_documents.delete().where(
    search_documents.c.document_id == sa.bindparam("document"), ~search_documents.c.ready
)
BATCH: Final = 5000
"""How many keys are bound to one statement."""


async def open_scopes(tx: Transaction, documents: Sequence[SearchDocument]) -> dict[SearchScope, int]:
    """Hold the scopes of documents, which need not be there yet, and those that have them now; return the keys.

    Raises:
        NotFound: a project is not there.
        Conflict: see :func:`hold_scopes`.
    """
    wanted = sorted({document.scope for document in documents}, key=lambda scope: (scope.project_id, scope.collection))
    ids = sorted({scope.project_id for scope in wanted})
    there = {row[0] for row in await tx.rows(_projects, {"keys": ids}, slow=True)}
    for missing in (key for key in ids if key not in there):
        raise NotFound(f"There is no project {missing}.")
    rows = [{"project_id": scope.project_id, "collection": scope.collection.value} for scope in wanted]
    await tx.run(_add_scope, rows, slow=True)
    found = await tx.rows(_of_projects, {"keys": ids})
    keys = {SearchScope(project_id, SearchCollection(name)): key for key, project_id, name in found}
    opened = {scope: keys[scope] for scope in wanted}
    await hold_scopes(tx, opened.values(), [document.id for document in documents])
    return opened


async def gone_groups(tx: Transaction, documents: Sequence[SearchDocument]) -> set[UUID]:
    """Return the groups of documents that are not there, and keep the others from being deleted meanwhile."""
    groups = {document.group for document in documents if document.group is not None}
    if not groups:
        return set()
    return groups - {row[0] for row in await tx.rows(_groups, {"keys": sorted(groups)}, slow=True)}


async def hold_scopes(tx: Transaction, keys: Iterable[int], names: Sequence[UUID] = ()) -> frozenset[int]:
    """Hold scopes, with those that have documents of these ids or groups; return the keys of those that are there.

    Waiting for whoever holds them may take long, and is no failure.

    Raises:
        Conflict: a document came into yet another scope meanwhile, which cannot be held in the order any more.
    """
    wanted = {*keys, *await _scopes_with(tx, names)}
    if not wanted:
        return frozenset()
    held = frozenset(row[0] for row in await tx.rows(_hold, {"keys": sorted(wanted)}, slow=True))
    if not held.issuperset(await _scopes_with(tx, names)):
        raise Conflict("A document was moved to another project while it was indexed; nothing of this was kept.")
    return held


async def _scopes_with(tx: Transaction, names: Sequence[UUID]) -> set[int]:
    return {row[0] for row in await tx.rows(_scopes_of, {"keys": names})} if names else set()


async def remove_documents(tx: Transaction, names: Sequence[UUID], *, spared: int = 0) -> set[int]:
    """Take away the documents of these ids or groups, but not the one with the key ``spared``.

    Returns the scopes that lost any. They must be held.
    """
    found = await tx.rows(_found, {"keys": names, "spared": spared}, slow=True)
    keys = [row[0] for row in found]
    for start in range(0, len(keys), BATCH):
        batch = {"keys": keys[start : start + BATCH]}
        await tx.run(_note, batch, slow=True)
        await tx.run(_delete, batch, slow=True)
    return {row[1] for row in found}


async def forget(tx: Transaction, name: UUID) -> set[int]:
    """Take away the documents of an id or a group, and return the keys of their scopes, which are held from now on.

    Raises:
        Conflict: see :func:`hold_scopes`.
    """
    await hold_scopes(tx, (), [name])
    return await remove_documents(tx, [name])


async def remove_unfinished(tx: Transaction, document_id: UUID) -> None:
    """Take away what was stored of a document and never found."""
    await tx.run(_delete_unfinished, {"document": document_id}, slow=True)


async def add_documents(
    tx: Transaction, documents: Sequence[SearchDocument], scopes: Mapping[SearchScope, int], *, ready: bool
) -> list[int]:
    """Add different documents without their passages and return their keys."""
    rows = [
        {
            "scope": scopes[document.scope],
            "document_id": document.id,
            "group_id": document.group,
            "version": document.version,
            "ready": ready,
            "name": document.name,
        }
        for document in documents
    ]
    keys: dict[UUID, int] = {row[0]: row[1] for row in await tx.rows(_add_documents, rows)}
    return [keys[document.id] for document in documents]


async def add_passages(tx: Transaction, found: Sequence[tuple[int, Passage]], keeps_text: Sequence[bool]) -> list[int]:
    """Add passages, each with its document's key and in the order of both, and return their keys, which rise."""
    rows = [
        {
            "document": document,
            "number": passage.number,
            "char_start": passage.start,
            "char_end": passage.end,
            "heading": passage.heading if kept else "",
            "text": passage.text if kept else "",
        }
        for (document, passage), kept in zip(found, keeps_text, strict=True)
    ]
    # Statements of many rows answer in any order, but give keys in that of the rows.
    return [key for *_, key in sorted(tuple(row) for row in await tx.rows(_add_passages, rows, slow=True))]


async def add_segment(
    tx: Transaction, scope: int, keys: Sequence[int], segment: Segment, *, document: int | None = None
) -> None:
    """Add a segment of passages with these keys."""
    code = width_code(max(segment.lengths))
    values = {
        "scope": scope,
        "document": document,
        "passages": len(keys),
        "terms": sum(segment.lengths),
        "pages": len(segment.pages),
        "size": segment.size,
        "members": pack_rising(keys),
        "lengths": bytes((code,)) + pack(segment.lengths, code),
    }
    row = await tx.row(_add_segment, values)
    if row is not None:
        pages = [{"segment": row[0], "page": page, "data": data} for page, data in enumerate(segment.pages)]
        await tx.run(_add_postings, pages, slow=True)


async def is_there(tx: Transaction, key: int) -> bool:
    """Tell whether a document is there."""
    return await tx.row(_exists, {"key": key}) is not None


async def publish(tx: Transaction, key: int) -> None:
    """Have a document found."""
    await tx.run(_ready, {"key": key})
    await tx.run(_use, {"key": key})
