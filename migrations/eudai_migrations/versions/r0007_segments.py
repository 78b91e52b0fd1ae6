"""The search index in segments, also for messages. It begins empty: what is to be found is indexed again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

__all__ = ["downgrade", "upgrade"]

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_big_key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_jobs = sa.table(
    "jobs",
    sa.column("id", sa.Uuid()),
    sa.column("kind", sa.Text()),
    sa.column("key", sa.Text()),
    sa.column("payload", sa.JSON().with_variant(JSONB(), "postgresql")),
    sa.column("run_after", sa.DateTime(timezone=True)),
    sa.column("state", sa.Text()),
    sa.column("attempts", sa.Integer()),
)
_SEARCHED = sa.text(
    "SELECT v.id, v.owner_id FROM document_versions v JOIN files d ON d.id = v.owner_id "
    "WHERE v.owner_type = 'file' AND v.number = d.current_version AND v.status = 'ready' "
    "UNION ALL "
    "SELECT v.id, v.owner_id FROM document_versions v JOIN urls d ON d.id = v.owner_id "
    "WHERE v.owner_type = 'url' AND v.number = d.current_version AND v.status = 'ready'"
).columns(id=sa.Uuid(), owner_id=sa.Uuid())
_ROWS = 1000
"""How many jobs are stored by one statement."""


def upgrade() -> None:
    """Make the tables anew, and have everything indexed that was."""
    _drop("postings", "passages", "search_documents", "search_projects")
    _create_documents()
    _create_passages()
    _create_segments()
    _create_postings()
    _index_again()


def downgrade() -> None:
    """Make the tables that were, and have everything indexed that they held."""
    _drop("search_removed", "postings", "search_segments", "passages", "search_documents", "search_scopes")
    _create_old_documents()
    _create_old_passages()
    _create_old_postings()
    _index_again()


def _drop(*tables: str) -> None:
    for table in tables:
        op.drop_table(table)


def _index_again() -> None:
    """Leave a job for each document that was read, which puts its stored text into the index; and mark messages."""
    connection, now = op.get_bind(), datetime.now(UTC)
    documents = connection.execute(_SEARCHED).all()
    for start in range(0, len(documents), _ROWS):
        batch = documents[start : start + _ROWS]
        connection.execute(_jobs.insert(), [_job(version, document, now) for version, document in batch])
    op.execute("UPDATE messages SET indexed = false WHERE indexed")


def _job(version: Any, document: Any, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "kind": "ingest",
        # Beside the job that may be waiting for this version.
        "key": f"{version}.{uuid4().hex}",
        "payload": {"version_id": str(version), "document_id": str(document)},
        "run_after": now,
        "state": "waiting",
        "attempts": 0,
    }


def _key() -> sa.Column[int]:
    return sa.Column("id", _big_key, autoincrement=True, nullable=False)


def _owned_by(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{target}")
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=name, ondelete="CASCADE")


def _index(table: str, column: str) -> None:
    op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def _create_documents() -> None:
    op.create_table(
        "search_scopes",
        _key(),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        _owned_by("search_scopes", "project_id", "projects"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_scopes")),
        sa.UniqueConstraint("project_id", "collection", name=op.f("uq_search_scopes_project_id_collection")),
    )
    op.create_table(
        "search_documents",
        _key(),
        sa.Column("scope", _big_key, nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("group_id", sa.Uuid()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        _owned_by("search_documents", "scope", "search_scopes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_documents")),
    )
    for column in ("scope", "document_id", "group_id"):
        _index("search_documents", column)


def _create_passages() -> None:
    op.create_table(
        "passages",
        _key(),
        sa.Column("document", _big_key, nullable=False),
        *_of_passage(),
        _owned_by("passages", "document", "search_documents"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passages")),
        sqlite_autoincrement=True,
    )
    _index("passages", "document")


def _of_passage() -> list[sa.Column[Any]]:
    return [
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("char_start", sa.Integer(), nullable=False),
        sa.Column("char_end", sa.Integer(), nullable=False),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
    ]


def _create_segments() -> None:
    op.create_table(
        "search_segments",
        _key(),
        sa.Column("scope", _big_key, nullable=False),
        sa.Column("document", _big_key),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("terms", sa.BigInteger(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.Column("lengths", sa.LargeBinary(), nullable=False),
        _owned_by("search_segments", "scope", "search_scopes"),
        _owned_by("search_segments", "document", "search_documents"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_segments")),
    )
    for column in ("scope", "document"):
        _index("search_segments", column)


def _create_postings() -> None:
    op.create_table(
        "postings",
        sa.Column("segment", _big_key, autoincrement=False, nullable=False),
        sa.Column("page", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _owned_by("postings", "segment", "search_segments"),
        sa.PrimaryKeyConstraint("segment", "page", name=op.f("pk_postings")),
    )
    op.create_table(
        "search_removed",
        sa.Column("scope", _big_key, autoincrement=False, nullable=False),
        sa.Column("passage", _big_key, autoincrement=False, nullable=False),
        _owned_by("search_removed", "scope", "search_scopes"),
        sa.PrimaryKeyConstraint("scope", "passage", name=op.f("pk_search_removed")),
        sqlite_with_rowid=False,
    )


def _create_old_documents() -> None:
    op.create_table(
        "search_projects",
        _key(),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        _owned_by("search_projects", "project_id", "projects"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_projects")),
        sa.UniqueConstraint("project_id", name=op.f("uq_search_projects_project_id")),
    )
    op.create_table(
        "search_documents",
        _key(),
        sa.Column("scope", _big_key, nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("terms", sa.BigInteger(), nullable=False),
        _owned_by("search_documents", "scope", "search_projects"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_documents")),
    )
    for column in ("document_id", "scope"):
        _index("search_documents", column)


def _create_old_passages() -> None:
    op.create_table(
        "passages",
        _key(),
        sa.Column("document", _big_key, nullable=False),
        *_of_passage(),
        _owned_by("passages", "document", "search_documents"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passages")),
        sa.UniqueConstraint("document", "number", name=op.f("uq_passages_document_number")),
    )


def _create_old_postings() -> None:
    op.create_table(
        "postings",
        sa.Column("scope", _big_key, autoincrement=False, nullable=False),
        sa.Column("term", sa.Text(), nullable=False),
        sa.Column("passage", _big_key, autoincrement=False, nullable=False),
        sa.Column("document", _big_key, nullable=False),
        sa.Column("frequency", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        _owned_by("postings", "document", "search_documents"),
        sa.PrimaryKeyConstraint("scope", "term", "passage", name=op.f("pk_postings")),
        sqlite_with_rowid=False,
    )
    _index("postings", "document")
