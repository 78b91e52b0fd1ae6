"""The answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["upgrade"]

revision = "tally_0001"
down_revision = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "p_tally_answers",
        sa.Column("run_id", sa.Uuid(), primary_key=True),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("answer_tokens", sa.Integer(), nullable=False),
    )
    op.create_index("ix_p_tally_answers_user_id_day", "p_tally_answers", ["user_id", "day"])
