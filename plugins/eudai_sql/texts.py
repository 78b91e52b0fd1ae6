"""Texts, kept once by the SHA-256 of their UTF-8 bytes, and erased with the last of their owners."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from eudai_sql.tables import text_owners, texts
from eudai_sql.transaction import Transaction
from eudai_sql.types import clean

__all__ = ["erase_texts", "hash_text", "read_texts", "store_texts"]

T = TypeVar("T")

_BATCH: Final = 500
"""How many values are bound to one statement; SQLite and PostgreSQL both allow some thirty thousand."""

_hashes: Final[sa.BindParameter[Any]] = sa.bindparam("hashes", expanding=True)
_read: Final = sa.select(texts.c.sha256, texts.c.bytes).where(texts.c.sha256.in_(_hashes))
# Locked in the order of their hashes, so that two transactions never wait for each other.
_lock: Final = sa.select(texts.c.sha256).where(texts.c.sha256.in_(_hashes)).order_by(texts.c.sha256)
_keep: Final = _lock.with_for_update(read=True)
_new: Final = insert(texts)
# Against DO NOTHING: when somebody erases the same text at this moment, this waits, and stores it again.
_add: Final = _new.on_conflict_do_update(index_elements=["sha256"], set_={"sha256": _new.excluded.sha256})
_add_owner: Final = insert(text_owners).on_conflict_do_nothing()
_owners: Final[sa.BindParameter[Any]] = sa.bindparam("owners", expanding=True)
_owned: Final = (
    sa.select(texts.c.sha256)
    .where(texts.c.sha256.in_(sa.select(text_owners.c.sha256).where(text_owners.c.owner_id.in_(_owners))))
    .order_by(texts.c.sha256)
    .with_for_update()
)
_disown: Final = text_owners.delete().where(text_owners.c.owner_id.in_(_owners))
_erase: Final = texts.delete().where(
    texts.c.sha256.in_(_hashes),
    ~sa.exists().where(text_owners.c.sha256 == texts.c.sha256),
)


async def hash_text(text: str) -> str:
    """Return the SHA-256 in hex of a text that may be long, off the event loop.

    Raises:
        InvalidInput: the text cannot be stored.
    """
    return await asyncio.to_thread(lambda: hashlib.sha256(clean(text).encode()).hexdigest())


async def store_texts(tx: Transaction, new: Mapping[str, str], owners: Iterable[tuple[str, UUID]]) -> None:
    """Keep texts by hash, and note who owns which: pairs of hash and owner."""
    there: set[str] = set()
    for batch in _batches(sorted(new)):
        there.update(row[0] for row in await tx.rows(_keep, {"hashes": batch}))
    absent = [{"sha256": sha256, "bytes": new[sha256]} for sha256 in sorted(new) if sha256 not in there]
    if absent:
        await tx.run(_add, absent, slow=True)
    rows = [{"sha256": sha256, "owner_id": owner} for sha256, owner in sorted(set(owners))]
    if rows:
        await tx.run(_add_owner, rows)


async def read_texts(tx: Transaction, hashes: Sequence[str]) -> dict[str, str]:
    """Return texts by hash; those that are not there are missing."""
    found: dict[str, str] = {}
    for batch in _batches(list(dict.fromkeys(hashes))):
        found.update((sha256, text) for sha256, text in await tx.rows(_read, {"hashes": batch}, slow=True))
    return found


async def erase_texts(tx: Transaction, owners: Sequence[UUID]) -> None:
    """Take texts away from owners that are deleted, and erase those that nobody owns any more.

    The texts are locked before it is asked who else owns them: a transaction that just takes one on is waited for.
    """
    for batch in _batches(owners):
        hashes = [row[0] for row in await tx.rows(_owned, {"owners": batch}, slow=True)]
        await tx.run(_disown, {"owners": batch}, slow=True)
        for part in _batches(hashes):
            await tx.run(_erase, {"hashes": part}, slow=True)


def _batches(values: Sequence[T]) -> Iterator[list[Any]]:
    for start in range(0, len(values), _BATCH):
        yield list(values[start : start + _BATCH])
