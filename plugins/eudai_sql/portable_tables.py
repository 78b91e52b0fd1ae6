"""Which tables of a database are eudai's, and reading them as they are at one moment."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from eudai_core.contracts import Row, TableShape
from eudai_core.errors import ConfigError
from eudai_sql.history import CORE, table_prefix, version_table
from eudai_sql.portable_values import Kind, kind_of, neutral_rows
from eudai_sql.tables import metadata

__all__ = ["CarriedTable", "TableReader", "bad_value", "carried_tables", "own_views", "stored_revisions"]

_BRANCH: Final = re.compile(r"[a-z][a-z0-9]{0,23}")
"""The name of a plugin's branch; others may keep their versions in tables whose names begin as ours do."""
_BATCH_BYTES: Final = 1 << 20
_BATCH_ROWS: Final = 1000
_BATCH_ROWS_OF_BYTES: Final = 50
"""Columns of bytes hold whole documents, so that a batch of them must not become large from one moment to the next."""
_READ_AS_TEXT: Final = frozenset({Kind.JSON, Kind.OTHER})
_SQLITE_COUNTERS: Final = "select name from sqlite_master where name = 'sqlite_sequence'"
_SQLITE_LAST: Final = "select name, seq from sqlite_sequence"
_POSTGRESQL_LAST: Final = """
select t.relname::text, max(s.last_value)
from pg_class t join pg_attribute a on a.attrelid = t.oid
    join pg_sequences s on format('%I.%I', s.schemaname, s.sequencename)
        = pg_get_serial_sequence(format('%I', t.relname), a.attname)
where t.relnamespace = to_regnamespace(current_schema()) and t.relname = any($1::text[])
  and a.attnum > 0 and not a.attisdropped and s.last_value is not null
group by t.relname
"""


@dataclass(frozen=True, slots=True)
class CarriedTable:
    """A table and what its columns hold."""

    shape: TableShape
    kinds: tuple[Kind, ...]

    @property
    def name(self) -> str:
        """The table's name."""
        return self.shape.name


def carried_tables(connection: sa.Connection, branches: Collection[str]) -> list[CarriedTable]:
    """Return the tables of these branches by name, as the database has them.

    Tables of others may stand beside them in a PostgreSQL database; these are left alone.
    """
    inspector = sa.inspect(connection)
    names = [name for name in inspector.get_table_names() if _is_own(name, branches)]
    with warnings.catch_warnings():
        # A type that SQLAlchemy does not know is carried as text.
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        return [_carried(name, inspector.get_columns(name)) for name in sorted(names)]


def own_views(connection: sa.Connection, branches: Collection[str]) -> list[str]:
    """Return the views that plugins of these branches made, which stand in the way of dropping their tables."""
    return sorted(name for name in sa.inspect(connection).get_view_names() if _is_own(name, branches))


def stored_revisions(connection: sa.Connection, known: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the revision of each branch that has tables here, or is at one of the ``known`` revisions of its plugin.

    A version table alone may be a stranger's: Alembic is used by others, too.
    """
    inspector = sa.inspect(connection)
    names = inspector.get_table_names()
    prefix = version_table("")
    found: dict[str, str] = {}
    for name in sorted(name for name in names if name.startswith(prefix)):
        branch = name.removeprefix(prefix)
        has_tables = branch == CORE.branch or any(map(_begins(branch), names))
        if not _BRANCH.fullmatch(branch) or not (has_tables or branch in known):
            continue
        revision = _revision(connection, inspector, name)
        if revision is not None and (has_tables or revision in known[branch]):
            found[branch] = revision
    return found


def bad_value(table: str, error: Exception) -> ConfigError:
    """Return what to say of a value that cannot be carried; the value itself is somebody's and is not told."""
    cause = getattr(error, "orig", None) or error
    return ConfigError(f"A row of the table {table} cannot be carried over ({type(cause).__name__}): correct it first.")


class TableReader:
    """See eudai_core.contracts.Snapshot: what one transaction sees."""

    def __init__(self, connection: AsyncConnection, tables: Sequence[CarriedTable], revisions: Mapping[str, str]):
        """Read over ``connection``, whose transaction has begun."""
        self.connection = connection
        self.revisions = revisions
        self.by_name = {table.name: table for table in tables}

    @property
    def tables(self) -> Sequence[TableShape]:
        """The tables, by name."""
        return [table.shape for table in self.by_name.values()]

    async def count(self, table: TableShape) -> int:
        """Return how many rows a table has."""
        statement = sa.select(sa.func.count()).select_from(sa.table(table.name))
        return int((await self.connection.execute(statement)).scalar_one())

    async def last_keys(self) -> Mapping[str, int]:
        """Return the last generated keys; PostgreSQL's are those of now, and so not below those of the snapshot."""
        if self.connection.dialect.name != "sqlite":
            result = await self.connection.exec_driver_sql(_POSTGRESQL_LAST, (list(self.by_name),))
        elif (await self.connection.exec_driver_sql(_SQLITE_COUNTERS)).first():
            result = await self.connection.exec_driver_sql(_SQLITE_LAST)
        else:
            return {}
        found: Sequence[Any] = result.all()
        return {name: last for name, last in found if name in self.by_name}

    async def rows(self, table: TableShape) -> AsyncIterator[Sequence[Row]]:
        """Give a table's rows in batches."""
        carried = self.chosen(table)
        most = _BATCH_ROWS_OF_BYTES if Kind.BYTES in carried.kinds else _BATCH_ROWS
        # The buffer holds what fetchmany asks for, no more.
        options = {"max_row_buffer": 1}
        statement = _select(carried, self.connection.dialect.name)
        async with self.connection.stream(statement, execution_options=options) as result:
            size = 1
            while fetched := await result.fetchmany(size):
                yield await asyncio.to_thread(_neutral, carried, fetched)
                size = _next_size(size, fetched, most)

    def chosen(self, table: TableShape) -> CarriedTable:
        """Return the table as it is here, with the columns asked for, in their order.

        Raises:
            ConfigError: it is not here, or one of the columns is not.
        """
        here = self.by_name.get(table.name)
        if here is None:
            raise ConfigError(f"This database has no table {table.name}: it was made by another version.")
        kinds = dict(zip(here.shape.columns, here.kinds, strict=True))
        if missing := [name for name in table.columns if name not in kinds]:
            raise ConfigError(f"The table {table.name} has no column {missing[0]}: it was made by another version.")
        return CarriedTable(table, tuple(kinds[name] for name in table.columns))


def _is_own(name: str, branches: Collection[str]) -> bool:
    if name in metadata.tables:
        return CORE.branch in branches
    return any(_begins(branch)(name) for branch in branches)


def _begins(branch: str) -> Callable[[str], bool]:
    prefix = table_prefix(branch)
    return lambda name: name.startswith(prefix)


def _revision(connection: sa.Connection, inspector: sa.Inspector, name: str) -> str | None:
    if [column["name"] for column in inspector.get_columns(name)] != ["version_num"]:
        return None
    table = sa.table(name, sa.column("version_num", sa.String()))
    revision: str | None = connection.execute(sa.select(table.c.version_num)).scalar()
    return revision


def _carried(name: str, columns: Sequence[Any]) -> CarriedTable:
    # What the database computes, it computes again elsewhere.
    kept = [column for column in columns if "computed" not in column]
    shape = TableShape(name, tuple(column["name"] for column in kept))
    return CarriedTable(shape, tuple(kind_of(column["type"]) for column in kept))


def _select(table: CarriedTable, dialect: str) -> sa.Select[Any]:
    # Without types, so that the drivers' own values come back.
    columns: list[sa.ColumnElement[Any]] = []
    for name, kind in zip(table.shape.columns, table.kinds, strict=True):
        column: sa.ColumnElement[Any] = sa.column(name)
        as_text = dialect == "postgresql" and kind in _READ_AS_TEXT
        columns.append(sa.cast(column, sa.Text()) if as_text else column)
    return sa.select(*columns).select_from(sa.table(table.name))


def _neutral(table: CarriedTable, rows: Sequence[sa.Row[Any]]) -> list[list[Any]]:
    try:
        return neutral_rows(table.kinds, rows)
    except (TypeError, ArithmeticError, ValueError) as error:
        raise bad_value(table.name, error) from error


def _next_size(size: int, rows: Sequence[sa.Row[Any]], most: int) -> int:
    """Aim at a batch of a megabyte, and grow carefully: long texts may follow short ones."""
    weight = sum(len(value) for row in rows for value in row if isinstance(value, str | bytes))
    return max(1, min(most, 2 * size, size * _BATCH_BYTES // (weight + 1)))
