"""Tables of the search index; eudai_sql.search_index says how they are written.

A scope's passages are indexed in segments, which are never changed: each holds the postings of some passages, spread
over pages by term (see eudai_sql.segments). A segment of a document that is still being stored names it and is found
by nobody. Passages that are gone are noted in ``search_removed`` until the segments that name them are made anew.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from eudai_sql.tables.metadata import metadata, owner_key
from eudai_sql.types import CleanText, big_key

__all__ = ["passages", "postings", "search_documents", "search_removed", "search_scopes", "search_segments"]


def _owned_by(target: str) -> sa.ForeignKey:
    return sa.ForeignKey(target, ondelete="CASCADE")


def _key() -> sa.Column[Any]:
    return sa.Column("id", big_key, primary_key=True, autoincrement=True)


search_scopes: Final = sa.Table(
    "search_scopes",
    metadata,
    _key(),
    owner_key("project_id", "projects.id"),
    sa.Column("collection", CleanText(), nullable=False),
    sa.UniqueConstraint("project_id", "collection"),
)

search_documents: Final = sa.Table(
    "search_documents",
    metadata,
    _key(),
    sa.Column("scope", big_key, _owned_by("search_scopes.id"), nullable=False, index=True),
    sa.Column("document_id", sa.Uuid(), nullable=False, index=True),
    # The conversation of a message.
    sa.Column("group_id", sa.Uuid(), index=True),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("ready", sa.Boolean(), nullable=False),
    sa.Column("name", CleanText(), nullable=False),
)

passages: Final = sa.Table(
    "passages",
    metadata,
    _key(),
    sa.Column("document", big_key, _owned_by("search_documents.id"), nullable=False, index=True),
    sa.Column("number", sa.Integer(), nullable=False),
    sa.Column("char_start", sa.Integer(), nullable=False),
    sa.Column("char_end", sa.Integer(), nullable=False),
    # Both empty where the document's text is read elsewhere.
    sa.Column("heading", CleanText(), nullable=False),
    sa.Column("text", CleanText(), nullable=False),
    # The key of a passage that is gone still stands in segments: it must not be given again.
    sqlite_autoincrement=True,
)

search_segments: Final = sa.Table(
    "search_segments",
    metadata,
    _key(),
    sa.Column("scope", big_key, _owned_by("search_scopes.id"), nullable=False, index=True),
    # The document that is being stored; empty when the segment is in use.
    sa.Column("document", big_key, _owned_by("search_documents.id"), index=True),
    # How many passages it has, how many terms these have together, how many pages and bytes their postings take.
    sa.Column("passages", sa.Integer(), nullable=False),
    sa.Column("terms", sa.BigInteger(), nullable=False),
    sa.Column("pages", sa.Integer(), nullable=False),
    sa.Column("size", sa.Integer(), nullable=False),
    # The passages' keys, and their lengths, packed.
    sa.Column("members", sa.LargeBinary(), nullable=False),
    sa.Column("lengths", sa.LargeBinary(), nullable=False),
)

postings: Final = sa.Table(
    "postings",
    metadata,
    sa.Column("segment", big_key, _owned_by("search_segments.id"), primary_key=True, autoincrement=False),
    sa.Column("page", sa.Integer(), primary_key=True, autoincrement=False),
    sa.Column("data", sa.LargeBinary(), nullable=False),
)

search_removed: Final = sa.Table(
    "search_removed",
    metadata,
    sa.Column("scope", big_key, _owned_by("search_scopes.id"), primary_key=True, autoincrement=False),
    sa.Column("passage", big_key, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
