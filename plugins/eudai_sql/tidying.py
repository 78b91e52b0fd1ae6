"""Keeping the search index small: many small segments become one, and what was removed is left out of new ones.

Segments are of four sizes, each eight times as large as the one before; eight of one size are made one of the next,
so a posting is written again a few times and never more. The largest are left alone, so that no merge takes long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from eudai_sql import index_rows
from eudai_sql.packing import unpack, unpack_rising
from eudai_sql.ranking import RunBlocking
from eudai_sql.segments import Parts, Segment, merge
from eudai_sql.tables import postings, search_removed, search_segments
from eudai_sql.transaction import Row, Transaction
from eudai_sql.unit_of_work import SqlUnitOfWork

__all__ = ["tidy"]

_FAN: Final = 8
_SIZES: Final = (1 << 11, 1 << 14, 1 << 17)
"""Bytes of postings from which on a segment is of the next size."""
_LARGE: Final = len(_SIZES)
_MERGED_BYTES: Final = 1 << 20
_REMOVED_PART: Final = 1 / 16
"""The part of a large segment's passages that must be gone before it is made anew."""

_scope: Final = search_segments.c.scope == sa.bindparam("scope")
_in_use: Final = sa.and_(_scope, search_segments.c.document.is_(None))
_sizes: Final = sa.select(search_segments.c.id, search_segments.c.size).where(_in_use).order_by(search_segments.c.id)
_with_keys: Final = (
    sa.select(search_segments.c.id, search_segments.c.size, search_segments.c.members)
    .where(_in_use)
    .order_by(search_segments.c.id)
)
_removed: Final = sa.select(search_removed.c.passage).where(search_removed.c.scope == sa.bindparam("scope"))
_chosen: Final[sa.BindParameter[Any]] = sa.bindparam("chosen", expanding=True)
_heads: Final = (
    sa.select(search_segments.c.id, search_segments.c.members, search_segments.c.lengths)
    .where(search_segments.c.id.in_(_chosen))
    .order_by(search_segments.c.id)
)
_pages: Final = sa.select(postings.c.segment, postings.c.data).where(postings.c.segment.in_(_chosen))
_delete: Final = search_segments.delete().where(search_segments.c.id.in_(_chosen))
_forget: Final = search_removed.delete().where(
    search_removed.c.scope == sa.bindparam("scope"), search_removed.c.passage.in_(_chosen)
)

Work = Callable[..., SqlUnitOfWork]


async def tidy(work: Work, run_blocking: RunBlocking, scope: int, *, purge: bool) -> None:
    """Merge what there is too much of in a scope, one merge a transaction; ``purge``: passages were removed.

    May be broken off at any point, and other processes may do the same: who comes second leaves it.
    """
    plan = _purging if purge else _merging
    while True:
        async with work(readonly=True) as unit:
            chosen, gone = await plan(unit.transaction, run_blocking, scope)
            parts = await _read(unit.transaction, chosen) if chosen else []
        if parts:
            if not await _replace(work, run_blocking, scope, chosen, parts, gone):
                return
        elif plan is _merging:
            return
        else:
            plan = _merging


async def _merging(tx: Transaction, run_blocking: RunBlocking, scope: int) -> tuple[list[int], set[int]]:
    """Return the segments to merge next, and what was removed of the scope."""
    by_size: dict[int, list[int]] = {}
    for key, size in await tx.rows(_sizes, {"scope": scope}):
        by_size.setdefault(_size_class(size), []).append(key)
    for size_class in range(_LARGE):
        same = by_size.get(size_class, [])
        if len(same) >= _FAN:
            return same[:_FAN], await _gone(tx, scope)
    return [], set()


async def _purging(tx: Transaction, run_blocking: RunBlocking, scope: int) -> tuple[list[int], set[int]]:
    """Return the segments to make anew next, and what was removed of the scope."""
    gone = await _gone(tx, scope)
    if not gone:
        return [], gone
    rows = await tx.rows(_with_keys, {"scope": scope}, slow=True)
    return await run_blocking(_affected, rows, gone), gone


async def _gone(tx: Transaction, scope: int) -> set[int]:
    return {row[0] for row in await tx.rows(_removed, {"scope": scope}, slow=True)}


def _size_class(size: int) -> int:
    return sum(size >= bound for bound in _SIZES)


def _affected(rows: Sequence[Row], gone: set[int]) -> list[int]:
    """Return segments that lost passages, as many as one merge may take. Runs in a thread."""
    chosen: list[int] = []
    total = 0
    for key, size, packed in rows:
        keys = unpack_rising(packed)
        lost = len(gone.intersection(keys))
        if lost and (_size_class(size) < _LARGE or lost >= len(keys) * _REMOVED_PART):
            if chosen and total + size > _MERGED_BYTES:
                break
            chosen.append(key)
            total += size
    return chosen


async def _read(tx: Transaction, chosen: Sequence[int]) -> list[tuple[bytes, bytes, list[bytes]]]:
    """Return the packed keys and lengths, and the pages, of those of some segments that are there."""
    heads = await tx.rows(_heads, {"chosen": chosen}, slow=True)
    pages: dict[int, list[bytes]] = {row[0]: [] for row in heads}
    for key, data in await tx.rows(_pages, {"chosen": chosen}, slow=True):
        pages[key].append(data)
    return [(keys, lengths, pages[key]) for key, keys, lengths in heads]


async def _replace(
    work: Work,
    run_blocking: RunBlocking,
    scope: int,
    chosen: Sequence[int],
    parts: Sequence[tuple[bytes, bytes, list[bytes]]],
    gone: set[int],
) -> bool:
    """Store one segment in place of several; False when they are not what they were."""
    keys, segment, left_out = await run_blocking(_merged, parts, gone)
    async with work() as unit:
        tx = unit.transaction
        if not await index_rows.hold_scopes(tx, [scope]):
            return False
        if await tx.run(_delete, {"chosen": chosen}, slow=True) != len(chosen):
            return False
        if keys:
            await index_rows.add_segment(tx, scope, keys, segment)
        for start in range(0, len(left_out), index_rows.BATCH):
            batch = left_out[start : start + index_rows.BATCH]
            await tx.run(_forget, {"scope": scope, "chosen": batch}, slow=True)
        await unit.commit()
    return True


def _merged(packed: Sequence[tuple[bytes, bytes, list[bytes]]], gone: set[int]) -> tuple[list[int], Segment, list[int]]:
    """Return the keys and the postings of one segment, and the keys left out. Runs in a thread."""
    parts = [Parts(unpack_rising(keys), unpack(lengths, lengths[0], 1), pages) for keys, lengths, pages in packed]
    keys, segment = merge(parts, gone)
    return keys, segment, [key for part in parts for key in part.keys if key in gone]
