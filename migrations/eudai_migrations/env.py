"""The Alembic environment of the core tables and of every plugin's.

Connection, metadata and version table come from the caller; the transaction is the caller's, too.
"""

from __future__ import annotations

from typing import Any

from alembic import context

_attributes = context.config.attributes
_metadata = _attributes["target_metadata"]


def _is_ours(_object: Any, name: str | None, kind: str, reflected: bool, _compare_to: Any) -> bool:
    """Leave tables out of comparisons that the metadata does not know: they belong to others."""
    return not (kind == "table" and reflected and name not in _metadata.tables)


context.configure(
    connection=_attributes["connection"],
    target_metadata=_metadata,
    version_table=_attributes["version_table"],
    include_object=_is_ours,
    render_as_batch=_attributes["connection"].dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
