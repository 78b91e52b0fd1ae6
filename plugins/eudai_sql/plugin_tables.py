"""What the migration of a plugin may touch: its own tables and nothing else."""

from __future__ import annotations

from typing import Final, NamedTuple

import sqlalchemy as sa

from eudai_core.errors import PluginError
from eudai_sql.alembic_run import upgrade
from eudai_sql.history import History, table_prefix
from eudai_sql.tables import metadata

__all__ = ["upgrade_plugin"]


class _Thing(NamedTuple):
    """A table, or a part of one, and how it is defined."""

    table: str
    kind: str
    name: str
    definition: str


_SQLITE: Final = sa.text(
    "select tbl_name, type, name, coalesce(sql, '') from sqlite_master where substr(name, 1, 7) <> 'sqlite_'"
)
_POSTGRESQL: Final = sa.text(
    """
    with own as (
        select oid, relname, relkind from pg_class
        where relnamespace = (select oid from pg_namespace where nspname = current_schema()) and relkind in
            ('r', 'p', 'v', 'm', 'f', 'S')
    )
    select relname::text, 'table', relname::text, relkind::text from own
    union all
    select relname, 'column', attname, format_type(atttypid, atttypmod) || ' ' || attnotnull || ' '
        || coalesce(pg_get_expr(adbin, adrelid), '')
    from own join pg_attribute on attrelid = own.oid left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attnum > 0 and not attisdropped
    union all
    select relname, 'constraint', conname, pg_get_constraintdef(pg_constraint.oid)
    from own join pg_constraint on conrelid = own.oid
    union all
    select relname, 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
    from own join pg_index on indrelid = own.oid
    union all
    select relname, 'trigger', tgname, pg_get_triggerdef(pg_trigger.oid)
    from own join pg_trigger on tgrelid = own.oid where not tgisinternal
    """
)


def upgrade_plugin(connection: sa.Connection, history: History) -> None:
    """Bring a plugin's tables to their newest revision within the connection's transaction; the caller commits.

    Raises:
        PluginError: a table was made, changed or dropped that is not the plugin's.
    """
    before = _things(connection)
    upgrade(connection, history, metadata)
    touched = {thing.table for thing in before ^ _things(connection)} - {history.version_table}
    prefix = table_prefix(history.source.branch)
    if strange := sorted(name for name in touched if not name.startswith(prefix)):
        raise PluginError(
            f"its migration made, changed or dropped {', '.join(strange)}: the tables of a plugin are called "
            f"{prefix}…, and it may change no others"
        )


def _things(connection: sa.Connection) -> frozenset[_Thing]:
    query = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL
    return frozenset(_Thing(*row) for row in connection.execute(query))
