"""Tables of conversations: messages, commands, runs, events, context records."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from eudai_sql.tables.metadata import metadata, owner_key
from eudai_sql.types import CleanText, Json, UtcDateTime

__all__ = [
    "ACTIVE",
    "QUEUED",
    "ROOTS",
    "RUNNING",
    "UNINDEXED",
    "UNTRIMMED",
    "commands",
    "context_records",
    "conversations",
    "events",
    "messages",
    "runs",
]

conversations: Final = sa.Table(
    "conversations",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    owner_key("project_id", "projects.id"),
    # The project's, so that all conversations of somebody are listed by one index.
    owner_key("owner_id", "users.id"),
    sa.Column("title", CleanText(), nullable=False),
    sa.Column("model", CleanText()),
    # No foreign key: it would make a circle with messages, and only rows of this conversation are ever put here.
    sa.Column("active_message_id", sa.Uuid()),
    # The highest event number that any lease was given; see SqlConversations.lease.
    sa.Column("next_seq", sa.BigInteger(), nullable=False),
    # Up to which number the event log was trimmed.
    sa.Column("trimmed_seq", sa.BigInteger(), nullable=False, server_default="0"),
    sa.Column("lease_owner", CleanText()),
    sa.Column("lease_until", UtcDateTime()),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    sa.Index(None, "project_id", "updated_at", "id"),
    sa.Index(None, "owner_id", "updated_at", "id"),
)

messages: Final = sa.Table(
    "messages",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    owner_key("conversation_id", "conversations.id"),
    sa.Column("parent_id", sa.Uuid(), sa.ForeignKey("messages.id", ondelete="CASCADE"), index=True),
    sa.Column("sender", CleanText(), nullable=False),
    sa.Column("text", CleanText(), nullable=False),
    sa.Column("timestamp", UtcDateTime(), nullable=False),
    sa.Column("status", CleanText(), nullable=False),
    sa.Column("thinking", CleanText(), nullable=False),
    sa.Column("model", CleanText()),
    sa.Column("usage", Json),
    sa.Column("citations", Json, nullable=False),
    sa.Column("error", Json),
    sa.Column("client_id", CleanText()),
    # Whether the search index has the text as it is now.
    sa.Column("indexed", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Index(None, "conversation_id", "timestamp", "id"),
)

commands: Final = sa.Table(
    "commands",
    metadata,
    owner_key("conversation_id", "conversations.id", primary_key=True),
    sa.Column("client_id", CleanText(), primary_key=True),
    sa.Column("kind", CleanText(), nullable=False),
    sa.Column("request_hash", CleanText(), nullable=False),
    sa.Column("message_id", sa.Uuid(), nullable=False),
    sa.Column("answer_id", sa.Uuid(), nullable=False),
    sa.Column("run_id", sa.Uuid(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
)

# Literals, because a partial index serves only a query whose text implies its condition.
QUEUED: Final = sa.literal_column("'queued'", sa.String())
RUNNING: Final = sa.literal_column("'running'", sa.String())
ACTIVE: Final = (QUEUED, RUNNING)

runs: Final = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    owner_key("conversation_id", "conversations.id"),
    owner_key("user_id", "users.id", index=True),
    sa.Column("message_id", sa.Uuid(), nullable=False),
    sa.Column("answer_id", sa.Uuid(), nullable=False, index=True),
    sa.Column("kind", CleanText(), nullable=False),
    sa.Column("model", CleanText(), nullable=False),
    sa.Column("backend", CleanText(), nullable=False),
    sa.Column("host", CleanText(), nullable=False),
    sa.Column("queued_at", UtcDateTime(), nullable=False),
    sa.Column("status", CleanText(), nullable=False),
    sa.Column("owner", CleanText()),
    sa.Column("lease_until", UtcDateTime()),
    sa.Column("stop_requested", sa.Boolean(), nullable=False),
    sa.Column("announced", sa.Boolean(), nullable=False),
    sa.Column("options", Json, nullable=False),
    sa.Column("finished_at", UtcDateTime()),
    # Whether its events were taken out of the log.
    sa.Column("trimmed", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Index(None, "conversation_id", "queued_at", "id"),
)

ROOTS: Final = messages.c.parent_id.is_(None)
"""Messages that a conversation begins with."""
UNTRIMMED: Final = sa.and_(~runs.c.trimmed, runs.c.finished_at.is_not(None))
"""Runs that ended and whose events are in the log."""
UNINDEXED: Final = sa.and_(~messages.c.indexed, messages.c.status != sa.literal_column("'pending'", sa.String()))
"""Messages that ended and whose text the search index lacks."""


def _partial_index(name: str, *columns: sa.Column[object], where: sa.ColumnElement[bool], unique: bool = False) -> None:
    sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


# One running run a conversation: the database itself refuses a second one.
_partial_index("ix_runs_running", runs.c.conversation_id, where=runs.c.status == RUNNING, unique=True)
_partial_index("ix_runs_queue", runs.c.backend, runs.c.host, runs.c.queued_at, where=runs.c.status == QUEUED)
_partial_index("ix_runs_owner", runs.c.owner, where=runs.c.status == RUNNING)
_partial_index("ix_runs_active", runs.c.conversation_id, runs.c.queued_at, where=runs.c.status.in_(ACTIVE))
_partial_index("ix_runs_untrimmed", runs.c.finished_at, where=UNTRIMMED)
# Else the first messages of a conversation would be sought among all its messages.
_partial_index("ix_messages_roots", messages.c.conversation_id, messages.c.timestamp, messages.c.id, where=ROOTS)
_partial_index("ix_messages_unindexed", messages.c.id, where=UNINDEXED)

events: Final = sa.Table(
    "events",
    metadata,
    owner_key("conversation_id", "conversations.id", primary_key=True),
    sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.Uuid()),
    sa.Column("type", CleanText(), nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Index(None, "run_id", "seq"),
    sqlite_with_rowid=False,
)

context_records: Final = sa.Table(
    "context_records",
    metadata,
    sa.Column("run_id", sa.Uuid(), primary_key=True),
    sa.Column("step", sa.Integer(), primary_key=True, autoincrement=False),
    sa.Column("message_id", sa.Uuid(), nullable=False, index=True),
    owner_key("conversation_id", "conversations.id", index=True),
    sa.Column("model", CleanText(), nullable=False),
    sa.Column("system", Json, nullable=False),
    sa.Column("user", Json, nullable=False),
    sa.Column("history_from", sa.Uuid()),
    sa.Column("left_out", Json, nullable=False),
    sa.Column("report", Json, nullable=False),
)
