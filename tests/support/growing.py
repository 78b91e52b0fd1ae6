"""Two users in one database, of whom one has a hundred conversations and messages, and the other very many."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from eudai_core.ids import new_id
from eudai_core.model import Page
from eudai_sql import keyset
from eudai_sql.engines import migration_engine
from eudai_sql.tables import conversations, events, messages, projects
from eudai_sql.url import parse_url

__all__ = ["FEW", "Grown", "Side", "grow"]

FEW = 100
"""The size of the small one."""
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Side:
    """What a user has.

    ``conversation`` is a straight one, ``early`` a message near its beginning, so that the page that ends there holds
    the first one; ``cursor`` stands in the middle of the list of conversations. All of them but FEW, which are in
    ``other_project``, are in ``project``.
    """

    user: UUID
    project: UUID
    other_project: UUID
    conversation: UUID
    early: UUID
    cursor: str


@dataclass(frozen=True, slots=True)
class Grown:
    """The two."""

    small: Side
    large: Side


async def grow(url: str, small: UUID, large: UUID, *, conversations: int, messages: int) -> Grown:
    """Fill a migrated database that has the two users, and tell the database's planner about it."""
    engine = migration_engine(parse_url(url))
    try:
        grown = Grown(
            await _side(engine, small, FEW, FEW),
            await _side(engine, large, conversations, messages),
        )
        async with engine.begin() as connection:
            await connection.execute(sa.text("analyze"))
    finally:
        await engine.dispose()
    return grown


async def _side(engine: Any, user: UUID, count: int, length: int) -> Side:
    ids = [new_id(), new_id()]
    await _insert(engine, projects, [_project(key, user) for key in ids])
    talks = [_conversation(user, ids[0], number) for number in range(count)]
    talks += [_conversation(user, ids[1], -number) for number in range(1, FEW + 1)]
    await _insert(engine, conversations, talks)
    long = talks[count - 1]
    path = _messages(long["id"], length)
    await _insert(engine, messages, [_messages(talk["id"], 1)[0] for talk in talks if talk is not long] + path)
    await _insert(engine, events, [_event(long["id"], number) for number in range(1, length + 1)])
    async with engine.begin() as connection:
        leaf = conversations.update().where(conversations.c.id == long["id"])
        await connection.execute(leaf.values(active_message_id=path[-1]["id"]))
    # The items before the middle, newest first, as a page whose end is the cursor.
    shown: Page[dict[str, Any]] = keyset.page(
        talks[count - 1 : count // 2 - 1 : -1], count - count // 2 - 1, lambda talk: (talk["updated_at"], talk["id"])
    )
    assert shown.next is not None
    return Side(user, ids[0], ids[1], long["id"], path[FEW // 4]["id"], shown.next)


async def _insert(engine: Any, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _BATCH):
        async with engine.begin() as connection:
            await connection.execute(table.insert(), rows[start : start + _BATCH])


def _project(key: UUID, owner: UUID) -> dict[str, Any]:
    times = {"created_at": _BEGIN, "updated_at": _BEGIN}
    return {"id": key, "owner_id": owner, "name": "Notes", "description": "", "settings": {}, "version": 1, **times}


def _conversation(owner: UUID, project: UUID, number: int) -> dict[str, Any]:
    at = _BEGIN + timedelta(seconds=number)
    return {
        "id": new_id(),
        "project_id": project,
        "owner_id": owner,
        "title": f"Conversation {number}",
        "next_seq": 0,
        "version": 1,
        "created_at": at,
        "updated_at": at,
    }


def _messages(conversation: UUID, count: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(count):
        made.append(
            {
                "id": new_id(),
                "conversation_id": conversation,
                "parent_id": made[-1]["id"] if made else None,
                "sender": "llm" if number % 2 else "user",
                "text": f"Message {number}. " * 20,
                "timestamp": _BEGIN + timedelta(seconds=number),
                "status": "complete",
                "thinking": "",
                "citations": [],
            }
        )
    return made


def _event(conversation: UUID, number: int) -> dict[str, Any]:
    payload = {"offset": number, "content": "a"}
    return {"conversation_id": conversation, "seq": number, "run_id": None, "type": "delta", "payload": payload}
