"""Filling empty tables in one transaction.

SQLite does not look at foreign keys meanwhile and is asked about them at the end. PostgreSQL drops them first and adds
them again at the end, in the same transaction: that takes rows in any order, also those that refer to each other in a
circle, and checks each key at once for the whole table.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from eudai_core.contracts import Row, TableShape
from eudai_core.errors import ConfigError, Conflict, InvalidInput, NotFound
from eudai_sql.failures import translate, unavailable
from eudai_sql.portable_tables import CarriedTable, TableReader, bad_value
from eudai_sql.portable_values import copy_lines, sqlite_rows

__all__ = ["PASSING", "SqlLoading", "loading_for", "not_empty"]

PASSING: Final = frozenset({"jobs", "plugin_states"})
"""Tables that a server which was only started has written to; they stand in nobody's way, and are emptied."""

# In the order in which they were made, in which PostgreSQL also looks at what a new row refers to, and holds it.
_DROP_KEYS: Final = """
select format('alter table %I drop constraint %I', t.relname, c.conname),
       format('alter table %I add constraint %I %s', t.relname, c.conname, pg_get_constraintdef(c.oid))
from pg_constraint c join pg_class t on t.oid = c.conrelid
where c.contype = 'f' and t.relnamespace = to_regnamespace(current_schema()) and t.relname = any($1::text[])
order by c.oid
"""
_MOVE_SEQUENCES: Final = """
select t.relname::text, format(
    'select setval(%1$L, greatest(max(%2$I), $1::bigint)) from %3$I having greatest(max(%2$I), $1::bigint) is not null',
    pg_get_serial_sequence(format('%I', t.relname), a.attname), a.attname, t.relname)
from pg_class t join pg_attribute a on a.attrelid = t.oid
where t.relnamespace = to_regnamespace(current_schema()) and t.relname = any($1::text[])
  and a.attnum > 0 and not a.attisdropped and pg_get_serial_sequence(format('%I', t.relname), a.attname) is not null
"""

# SQLite keeps count of the keys of such tables only; the others it lets begin anew when the last rows are gone.
_COUNTED: Final = "select name from sqlite_master where type = 'table' and upper(sql) like '%AUTOINCREMENT%'"

_BEGIN_COUNTING: Final = """
insert into sqlite_sequence (name, seq)
select ?, 0 where not exists (select 1 from sqlite_sequence where name = ?)
"""
_COUNT_ON: Final = "update sqlite_sequence set seq = max(seq, ?) where name = ?"


class SqlLoading(TableReader, ABC):
    """See eudai_core.contracts.Loading."""

    async def begin(self) -> None:
        """Empty what may be emptied.

        Raises:
            Conflict: there are rows in other tables.
        """
        if rows := await self.contents():
            raise not_empty(rows)
        for name in PASSING & self.by_name.keys():
            await self.connection.execute(sa.delete(sa.table(name)))

    async def contents(self) -> dict[str, int]:
        """Return the rows of tables that must be empty and are not."""
        counts = {table.name: await self.count(table) for table in self.tables if table.name not in PASSING}
        return {name: count for name, count in counts.items() if count}

    async def load(self, table: TableShape, batches: AsyncIterator[Sequence[Row]]) -> None:
        """Put rows into a table."""
        carried = self.chosen(table)
        with _blaming(table.name):
            await self._fill(carried, batches)

    async def commit(self) -> None:
        """Make everything durable."""
        await self.connection.commit()

    @abstractmethod
    async def settle(self, last_keys: Mapping[str, int]) -> None:
        """Check references, and let generated keys go on above the highest, and above those of the source."""

    @abstractmethod
    async def _fill(self, table: CarriedTable, batches: AsyncIterator[Sequence[Row]]) -> None: ...


class SqliteLoading(SqlLoading):
    """Into SQLite."""

    async def settle(self, last_keys: Mapping[str, int]) -> None:
        """Check references; generated keys go on above the highest by themselves, and above those of the source."""
        orphans = (await self.connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
        if orphans:
            raise _orphans(f"{len(orphans)} rows, the first in the table {orphans[0][0]},")
        for (name,) in (await self.connection.exec_driver_sql(_COUNTED)).all():
            if name in self.by_name and name in last_keys:
                await self._count_from(name, last_keys[name])

    async def _count_from(self, name: str, last: int) -> None:
        # There is a row only when the table has, or had, one; and nothing keeps a second one out.
        await self.connection.exec_driver_sql(_BEGIN_COUNTING, (name, name))
        await self.connection.exec_driver_sql(_COUNT_ON, (last, name))

    async def _fill(self, table: CarriedTable, batches: AsyncIterator[Sequence[Row]]) -> None:
        quote = self.connection.dialect.identifier_preparer.quote
        columns = ", ".join(map(quote, table.shape.columns))
        marks = ", ".join("?" * len(table.shape.columns))
        statement = f"insert into {quote(table.name)} ({columns}) values ({marks})"  # noqa: S608 -- names are quoted
        async for batch in batches:
            values = await asyncio.to_thread(sqlite_rows, table.kinds, batch)
            if values:
                await self.connection.exec_driver_sql(statement, [tuple(row) for row in values])


class PostgresqlLoading(SqlLoading):
    """Into PostgreSQL."""

    _add_keys: Sequence[str] = ()

    async def begin(self) -> None:
        """Lock the tables, empty what may be emptied, and let go of the foreign keys."""
        quote = self.connection.dialect.identifier_preparer.quote
        if self.by_name:
            names = ", ".join(map(quote, self.by_name))
            await self.connection.exec_driver_sql(f"lock table {names} in access exclusive mode")
        await super().begin()
        keys = await self._ask(_DROP_KEYS)
        for drop, _ in keys:
            await self.connection.exec_driver_sql(drop)
        self._add_keys = [add for _, add in keys]

    async def settle(self, last_keys: Mapping[str, int]) -> None:
        """Take up the foreign keys again, and the sequences."""
        quote = self.connection.dialect.identifier_preparer.quote
        for add in self._add_keys:
            try:
                await self.connection.exec_driver_sql(add)
            except sa.exc.IntegrityError as error:
                raise _orphans(f"rows of the table {add.split()[2]}") from error
        for name, move in await self._ask(_MOVE_SEQUENCES):
            with _blaming(name):
                await self.connection.exec_driver_sql(move, (last_keys.get(name),))
        for name in self.by_name:
            # A table that was filled at once has no statistics, and bad plans until somebody looks.
            await self.connection.exec_driver_sql(f"analyze {quote(name)}")

    async def _fill(self, table: CarriedTable, batches: AsyncIterator[Sequence[Row]]) -> None:
        import asyncpg  # type: ignore[import-untyped]  # it ships no types

        driver: Any = (await self.connection.get_raw_connection()).driver_connection
        text = _copy_text(table, batches)
        try:
            await driver.copy_to_table(table.name, source=text, columns=list(table.shape.columns), format="text")
        except asyncpg.PostgresError as error:
            raise sa.exc.DBAPIError("COPY", None, error) from error
        except asyncpg.InterfaceError as error:
            raise unavailable() from error

    async def _ask(self, query: str) -> Sequence[Any]:
        return (await self.connection.exec_driver_sql(query, (list(self.by_name),))).all()


def loading_for(
    connection: AsyncConnection, tables: Sequence[CarriedTable], revisions: Mapping[str, str]
) -> SqlLoading:
    """Return the loading of a connection's dialect."""
    kind = SqliteLoading if connection.dialect.name == "sqlite" else PostgresqlLoading
    return kind(connection, tables, revisions)


async def _copy_text(table: CarriedTable, batches: AsyncIterator[Sequence[Row]]) -> AsyncIterator[bytes]:
    async for batch in batches:
        yield await asyncio.to_thread(copy_lines, table.kinds, batch)


@contextmanager
def _blaming(table: str) -> Iterator[None]:
    """Say which table a value was for that does not fit; a database that does not answer says so itself."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, ArithmeticError, TypeError, LookupError, ValueError) as error:
        # A statement of ours is wrong only when the values in it are.
        meaning = None if isinstance(error, sa.exc.ProgrammingError) else translate(error)
        if meaning is None or isinstance(meaning, Conflict | InvalidInput | NotFound):
            raise bad_value(table, error) from error
        raise


def not_empty(rows: Mapping[str, int]) -> Conflict:
    """Return what to say of a database that holds these rows."""
    told = ", ".join(f"{name} {count}" for name, count in rows.items())
    return Conflict(f"The database is not empty (rows: {told}): choose an empty one.")


def _orphans(which: str) -> ConfigError:
    return ConfigError(f"Nothing was loaded: {which} belong to something that is not there.")
