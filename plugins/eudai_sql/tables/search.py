"""Tables of the search index.

``search_documents`` says which version of a document is found; a version being indexed is not ``ready`` and is found
by nothing. ``postings`` repeats the passage's length and document so that ranking reads this table alone. Integer
keys keep it small, since it has a row for each term of each passage.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from eudai_sql.tables.metadata import metadata, owner_key
from eudai_sql.types import CleanText, big_key

__all__ = ["passages", "postings", "search_documents", "search_projects"]


def _owned_by(target: str) -> sa.ForeignKey:
    return sa.ForeignKey(target, ondelete="CASCADE")


def _key() -> sa.Column[Any]:
    return sa.Column("id", big_key, primary_key=True, autoincrement=True)


search_projects: Final = sa.Table(
    "search_projects",
    metadata,
    _key(),
    owner_key("project_id", "projects.id", unique=True),
)

search_documents: Final = sa.Table(
    "search_documents",
    metadata,
    _key(),
    sa.Column("scope", big_key, _owned_by("search_projects.id"), nullable=False, index=True),
    sa.Column("document_id", sa.Uuid(), nullable=False, index=True),
    sa.Column("version", sa.Integer(), nullable=False),
    sa.Column("name", CleanText(), nullable=False),
    sa.Column("ready", sa.Boolean(), nullable=False),
    # How many passages the document has, and how many terms these have together.
    sa.Column("passages", sa.Integer(), nullable=False),
    sa.Column("terms", sa.BigInteger(), nullable=False),
)

passages: Final = sa.Table(
    "passages",
    metadata,
    _key(),
    sa.Column("document", big_key, _owned_by("search_documents.id"), nullable=False),
    sa.Column("number", sa.Integer(), nullable=False),
    sa.Column("char_start", sa.Integer(), nullable=False),
    sa.Column("char_end", sa.Integer(), nullable=False),
    sa.Column("heading", CleanText(), nullable=False),
    sa.Column("text", CleanText(), nullable=False),
    sa.UniqueConstraint("document", "number"),
)

postings: Final = sa.Table(
    "postings",
    metadata,
    sa.Column("scope", big_key, primary_key=True, autoincrement=False),
    sa.Column("term", CleanText(), primary_key=True),
    sa.Column("passage", big_key, primary_key=True, autoincrement=False),
    sa.Column("document", big_key, _owned_by("search_documents.id"), nullable=False, index=True),
    sa.Column("frequency", sa.Integer(), nullable=False),
    sa.Column("length", sa.Integer(), nullable=False),
    sqlite_with_rowid=False,
)
