"""The search index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_big_key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _create_documents()
    _create_passages()


def downgrade() -> None:
    """Drop the tables, with everything in them."""
    for table in (
        "postings",
        "passages",
        "search_documents",
        "search_projects",
    ):
        op.drop_table(table)


def _create_documents() -> None:
    op.create_table(
        "search_projects",
        sa.Column("id", _big_key, autoincrement=True, nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_search_projects_project_id_projects"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_projects")),
        sa.UniqueConstraint("project_id", name=op.f("uq_search_projects_project_id")),
    )
    op.create_table(
        "search_documents",
        sa.Column("id", _big_key, autoincrement=True, nullable=False),
        sa.Column("scope", _big_key, nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("terms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scope"],
            ["search_projects.id"],
            name=op.f("fk_search_documents_scope_search_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_documents")),
    )
    op.create_index(op.f("ix_search_documents_document_id"), "search_documents", ["document_id"])
    op.create_index(op.f("ix_search_documents_scope"), "search_documents", ["scope"])


def _create_passages() -> None:
    op.create_table(
        "passages",
        sa.Column("id", _big_key, autoincrement=True, nullable=False),
        sa.Column("document", _big_key, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("char_start", sa.Integer(), nullable=False),
        sa.Column("char_end", sa.Integer(), nullable=False),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document"],
            ["search_documents.id"],
            name=op.f("fk_passages_document_search_documents"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passages")),
        sa.UniqueConstraint("document", "number", name=op.f("uq_passages_document_number")),
    )
    op.create_table(
        "postings",
        sa.Column("scope", _big_key, autoincrement=False, nullable=False),
        sa.Column("term", sa.Text(), nullable=False),
        sa.Column("passage", _big_key, autoincrement=False, nullable=False),
        sa.Column("document", _big_key, nullable=False),
        sa.Column("frequency", sa.Integer(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document"],
            ["search_documents.id"],
            name=op.f("fk_postings_document_search_documents"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("scope", "term", "passage", name=op.f("pk_postings")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_postings_document"), "postings", ["document"])
