"""The one ``MetaData``, with names for every constraint so that migrations can find them on both dialects."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

__all__ = ["metadata", "owner_key"]

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def owner_key(name: str, target: str, **options: Any) -> sa.Column[Any]:
    """Return a column that names the row which owns this one: deleting that row takes this one along."""
    return sa.Column(name, sa.Uuid(), sa.ForeignKey(target, ondelete="CASCADE"), nullable=False, **options)
