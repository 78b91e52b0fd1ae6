"""Tables of projects and of what they know: files, pages, instructions, their versions, texts."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from eudai_sql.tables.metadata import metadata, owner_key
from eudai_sql.types import CleanText, Json, UtcDateTime, Utf8

__all__ = [
    "document_versions",
    "files",
    "instruction_versions",
    "instructions",
    "projects",
    "text_owners",
    "texts",
    "urls",
]

projects: Final = sa.Table(
    "projects",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    owner_key("owner_id", "users.id"),
    sa.Column("name", CleanText(), nullable=False),
    sa.Column("description", CleanText(), nullable=False),
    sa.Column("settings", Json, nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("updated_at", UtcDateTime(), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
    # Kept by SqlConversations: a project is read at every step, and counting many conversations takes long.
    sa.Column("conversation_count", sa.Integer(), nullable=False, server_default="0"),
    sa.Index(None, "owner_id", "created_at", "id"),
)

files: Final = sa.Table(
    "files",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    owner_key("project_id", "projects.id"),
    sa.Column("filename", CleanText(), nullable=False),
    # The blob key of the current version; document_versions has those of all.
    sa.Column("path", CleanText(), nullable=False),
    sa.Column("uploaded_at", UtcDateTime(), nullable=False),
    owner_key("uploaded_by", "users.id", index=True),
    sa.Column("current_version", sa.Integer(), nullable=False),
    sa.Column("pinned", sa.Boolean(), nullable=False),
    sa.Index(None, "project_id", "uploaded_at", "id"),
)

instructions: Final = sa.Table(
    "instructions",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    owner_key("project_id", "projects.id", index=True),
    sa.Column("instruction_text", CleanText(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("position", sa.Integer(), nullable=False),
    sa.Column("enabled", sa.Boolean(), nullable=False),
    sa.Column("version", sa.Integer(), nullable=False),
)

# What an instruction said, by the version in which it began to say so: changes of anything else have no row here.
instruction_versions: Final = sa.Table(
    "instruction_versions",
    metadata,
    owner_key("instruction_id", "instructions.id", primary_key=True),
    sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
    sa.Column("instruction_text", CleanText(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
)

urls: Final = sa.Table(
    "urls",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    owner_key("project_id", "projects.id"),
    sa.Column("url", CleanText(), nullable=False),
    # The SHA-256 of ``url``, which makes it unique: PostgreSQL indexes no text of more than some 2,700 bytes.
    sa.Column("url_sha256", CleanText(), nullable=False),
    sa.Column("description", CleanText(), nullable=False),
    owner_key("added_by", "users.id", index=True),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("title", CleanText(), nullable=False),
    sa.Column("status", CleanText(), nullable=False),
    sa.Column("error", CleanText()),
    sa.Column("fetched_at", UtcDateTime()),
    # Empty until something was fetched.
    sa.Column("current_version", sa.Integer()),
    sa.Column("pinned", sa.Boolean(), nullable=False),
    sa.UniqueConstraint("project_id", "url_sha256"),
    sa.Index(None, "project_id", "created_at", "id"),
)

# ``owner_id`` names a row of the table that ``owner_type`` says, so no foreign key can hold it: whoever deletes the
# owner deletes its versions. A deleted project takes them along by itself.
document_versions: Final = sa.Table(
    "document_versions",
    metadata,
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("owner_type", CleanText(), nullable=False),
    sa.Column("owner_id", sa.Uuid(), nullable=False),
    owner_key("project_id", "projects.id"),
    sa.Column("number", sa.Integer(), nullable=False),
    sa.Column("sha256", CleanText(), nullable=False),
    sa.Column("blob_key", CleanText(), nullable=False, index=True),
    sa.Column("media_type", CleanText(), nullable=False),
    sa.Column("size", sa.BigInteger(), nullable=False),
    sa.Column("created_at", UtcDateTime(), nullable=False),
    sa.Column("status", CleanText(), nullable=False),
    sa.Column("error", CleanText()),
    sa.Column("text_sha256", CleanText()),
    sa.Column("characters", sa.Integer(), nullable=False),
    sa.Column("tokens", sa.Integer(), nullable=False),
    sa.UniqueConstraint("owner_id", "owner_type", "number"),
    sa.Index(None, "project_id", "sha256"),
)

texts: Final = sa.Table(
    "texts",
    metadata,
    sa.Column("sha256", CleanText(), primary_key=True),
    sa.Column("bytes", Utf8(), nullable=False),
)

# Who a text belongs to: the document it was read out of or quoted from, else the conversation that it was said in.
# A text goes with the last of its owners.
text_owners: Final = sa.Table(
    "text_owners",
    metadata,
    sa.Column("sha256", CleanText(), sa.ForeignKey("texts.sha256", ondelete="CASCADE"), primary_key=True),
    sa.Column("owner_id", sa.Uuid(), primary_key=True, index=True),
    sqlite_with_rowid=False,
)
