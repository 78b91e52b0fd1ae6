"""Tables of users, their sign-ins, and plugin states."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from eudai_sql.tables.metadata import metadata, owner_key
from eudai_sql.types import CleanText, Json, UtcDateTime

__all__ = ["plugin_states", "refresh_tokens", "sessions", "users"]

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
)

sessions: Final = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    owner_key("user_id", "users.id", index=True),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("expires_at", UtcDateTime(), nullable=False),
    sa.Column("revoked_at", UtcDateTime()),
)

refresh_tokens: Final = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("sha256", CleanText(), primary_key=True),
    owner_key("session_id", "sessions.id", index=True),
    sa.Column("expires_at", UtcDateTime(), nullable=False),
    sa.Column("spent_at", UtcDateTime()),
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
