"""Owners and numbers of conversations, and marks for trimming the event log and for indexing messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OWNER_KEY = "fk_conversations_owner_id_users"
_OWNER_INDEX = "ix_conversations_owner_id_updated_at_id"
_ROOTS = "ix_messages_roots"
_UNINDEXED = "ix_messages_unindexed"
_UNTRIMMED = "ix_runs_untrimmed"


def upgrade() -> None:
    """Add the columns and their indexes."""
    _own_conversations()
    _count_conversations()
    _partial_index(_ROOTS, "messages", ["conversation_id", "timestamp", "id"], "parent_id IS NULL")
    op.add_column("messages", sa.Column("indexed", sa.Boolean(), nullable=False, server_default=sa.false()))
    _partial_index(_UNINDEXED, "messages", ["id"], "NOT indexed AND status <> 'pending'")
    op.add_column("runs", sa.Column("trimmed", sa.Boolean(), nullable=False, server_default=sa.false()))
    _partial_index(_UNTRIMMED, "runs", ["finished_at"], "NOT trimmed AND finished_at IS NOT NULL")


def downgrade() -> None:
    """Drop the columns."""
    op.drop_index(_UNTRIMMED, "runs")
    op.drop_index(_UNINDEXED, "messages")
    op.drop_index(_ROOTS, "messages")
    for table, column in (("runs", "trimmed"), ("messages", "indexed"), ("projects", "conversation_count")):
        with op.batch_alter_table(table) as batch:
            batch.drop_column(column)
    op.drop_index(_OWNER_INDEX, "conversations")
    with op.batch_alter_table("conversations") as batch:
        batch.drop_constraint(_OWNER_KEY, type_="foreignkey")
        batch.drop_column("owner_id")
        batch.drop_column("trimmed_seq")


def _own_conversations() -> None:
    op.add_column("conversations", sa.Column("owner_id", sa.Uuid()))
    op.add_column("conversations", sa.Column("trimmed_seq", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE conversations SET owner_id = "
        "(SELECT projects.owner_id FROM projects WHERE projects.id = conversations.project_id)"
    )
    with op.batch_alter_table("conversations") as batch:
        batch.alter_column("owner_id", existing_type=sa.Uuid(), nullable=False)
        batch.create_foreign_key(op.f(_OWNER_KEY), "users", ["owner_id"], ["id"], ondelete="CASCADE")
    op.create_index(op.f(_OWNER_INDEX), "conversations", ["owner_id", "updated_at", "id"])


def _count_conversations() -> None:
    op.add_column("projects", sa.Column("conversation_count", sa.Integer(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE projects SET conversation_count = "
        "(SELECT count(*) FROM conversations WHERE conversations.project_id = projects.id)"
    )


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(op.f(name), table, columns, sqlite_where=where, postgresql_where=where)
