"""Web pages of projects, and what instructions said before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; what each instruction says now begins its history."""
    _create_urls()
    _create_instruction_versions()
    op.execute(
        "INSERT INTO instruction_versions (instruction_id, number, instruction_text, created_at) "
        "SELECT id, version, instruction_text, created_at FROM instructions"
    )


def downgrade() -> None:
    """Drop the tables, with the versions and texts of pages. Their passages stay in the index, of documents unknown."""
    op.execute(
        "DELETE FROM texts "
        "WHERE EXISTS (SELECT 1 FROM text_owners WHERE text_owners.sha256 = texts.sha256) "
        "AND NOT EXISTS (SELECT 1 FROM text_owners WHERE text_owners.sha256 = texts.sha256 "
        "AND text_owners.owner_id NOT IN (SELECT id FROM urls))"
    )
    op.execute("DELETE FROM text_owners WHERE owner_id IN (SELECT id FROM urls)")
    op.execute("DELETE FROM document_versions WHERE owner_id IN (SELECT id FROM urls)")
    op.drop_table("urls")
    op.drop_table("instruction_versions")


def _create_urls() -> None:
    op.create_table(
        "urls",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("url_sha256", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("fetched_at", sa.DateTime(timezone=True)),
        sa.Column("current_version", sa.Integer()),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_urls_project_id_projects"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["added_by"], ["users.id"], name=op.f("fk_urls_added_by_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_urls")),
        sa.UniqueConstraint("project_id", "url_sha256", name=op.f("uq_urls_project_id_url_sha256")),
    )
    op.create_index(op.f("ix_urls_added_by"), "urls", ["added_by"])
    op.create_index(op.f("ix_urls_project_id_created_at_id"), "urls", ["project_id", "created_at", "id"])


def _create_instruction_versions() -> None:
    op.create_table(
        "instruction_versions",
        sa.Column("instruction_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("instruction_text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["instruction_id"],
            ["instructions.id"],
            name=op.f("fk_instruction_versions_instruction_id_instructions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("instruction_id", "number", name=op.f("pk_instruction_versions")),
    )
