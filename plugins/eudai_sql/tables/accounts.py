"""Tables of users, their sign-ins, keys and invitations, and plugin states."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from eudai_sql.tables.metadata import metadata, owner_key
from eudai_sql.types import CleanText, Json, UtcDateTime

__all__ = [
    "REVOKED",
    "api_keys",
    "invites",
    "login_failures",
    "plugin_states",
    "refresh_tokens",
    "sessions",
    "signing_keys",
    "users",
]

users: Final = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("username", CleanText(), nullable=False),
    sa.Column("email", CleanText(), nullable=False),
    # What uniqueness and logins compare, so that case and compatibility forms make no second account.
    sa.Column("username_key", CleanText(), nullable=False, unique=True),
    sa.Column("email_key", CleanText(), nullable=False, unique=True),
    sa.Column("password_hash", CleanText(), nullable=False),
    sa.Column("is_admin", sa.Boolean(), nullable=False),
    sa.Column("disabled", sa.Boolean(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Index(None, "created_at", "id"),
)

sessions: Final = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    owner_key("user_id", "users.id", index=True),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("expires_at", UtcDateTime(), nullable=False, index=True),
    sa.Column("revoked_at", UtcDateTime()),
)

REVOKED: Final = sessions.c.revoked_at.is_not(None)
"""Sessions that were ended."""
sa.Index("ix_sessions_revoked", sessions.c.revoked_at, sqlite_where=REVOKED, postgresql_where=REVOKED)

refresh_tokens: Final = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("sha256", CleanText(), primary_key=True),
    owner_key("session_id", "sessions.id", index=True),
    sa.Column("expires_at", UtcDateTime(), nullable=False),
    sa.Column("spent_at", UtcDateTime()),
)

api_keys: Final = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    owner_key("user_id", "users.id"),
    sa.Column("name", CleanText(), nullable=False),
    sa.Column("sha256", CleanText(), nullable=False),
    sa.Column("scopes", Json, nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("expires_at", UtcDateTime()),
    sa.Column("last_used_at", UtcDateTime()),
    sa.Index(None, "user_id", "created_at", "id"),
)

# Whoever made or used an invitation may be deleted since: it was used all the same, as ``used_at`` tells.
invites: Final = sa.Table(
    "invites",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("code_sha256", CleanText(), nullable=False, unique=True),
    sa.Column("created_by", sa.Uuid(), sa.ForeignKey("users.id", ondelete="SET NULL"), index=True),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("expires_at", UtcDateTime(), nullable=False),
    sa.Column("note", CleanText(), nullable=False),
    sa.Column("used_by", sa.Uuid(), sa.ForeignKey("users.id", ondelete="SET NULL"), index=True),
    sa.Column("used_at", UtcDateTime()),
    sa.Index(None, "created_at", "id"),
)

# A handful of rows: they need no index.
signing_keys: Final = sa.Table(
    "signing_keys",
    metadata,
    sa.Column("kid", CleanText(), primary_key=True),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("retires_at", UtcDateTime()),
)

login_failures: Final = sa.Table(
    "login_failures",
    metadata,
    sa.Column("key", CleanText(), primary_key=True),
    sa.Column("count", sa.Integer(), nullable=False),
    sa.Column("last_at", UtcDateTime(), nullable=False, index=True),
)

plugin_states: Final = sa.Table(
    "plugin_states",
    metadata,
    sa.Column("instance", CleanText(), primary_key=True),
    sa.Column("name", CleanText(), primary_key=True),
    sa.Column("reported_at", UtcDateTime(), nullable=False, index=True),
    sa.Column("distribution", CleanText(), nullable=False),
    sa.Column("version", CleanText(), nullable=False),
    sa.Column("status", CleanText(), nullable=False),
    sa.Column("detail", CleanText(), nullable=False),
    sa.Column("import_ms", sa.Double(), nullable=False),
    sa.Column("hooks", Json, nullable=False),
    sa.Column("faults", Json, nullable=False),
)
