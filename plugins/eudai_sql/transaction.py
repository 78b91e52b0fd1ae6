"""One transaction: statements in, values out, failures told within two seconds."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from eudai_core.errors import EudaiError
from eudai_sql.database import Database
from eudai_sql.engines import CONNECT_SECONDS
from eudai_sql.failures import DATABASE_FAILURES, DatabaseAway, refuses_writing, translate, unavailable
from eudai_sql.url import Dialect

__all__ = ["Parameters", "Row", "Transaction"]

Parameters = Mapping[str, Any]
Row: TypeAlias = sa.Row[*tuple[Any, ...]]
"""A row of any columns."""

_READONLY: Final = "this unit of work was begun for reading and cannot write"
_log: Final = logging.getLogger(__name__)
_PATIENCE: Final = 1.7
"""Seconds for a statement, and for connecting and the first statement together."""
_SLOW: Final = 15.0
"""Seconds for statements that may touch very many rows."""


class Transaction:
    """A transaction that begins with its first statement. For one task at a time.

    A server that stops answering in the middle of a statement is not waited for: the connection is cut at the
    deadline, which ends the statement at once. A pooled connection that died while idle shows in the first statement;
    nothing has been done by then, so that statement is tried once more on a new connection. That is cheaper than
    asking every connection whether it lives before each use.
    """

    def __init__(self, database: Database, *, readonly: bool, snapshot: bool = True) -> None:
        """Prepare; nothing is connected yet. A ``readonly`` one without ``snapshot`` begins no transaction at all."""
        self.readonly = readonly
        self._snapshot = snapshot
        self._database = database
        self._connection: AsyncConnection | None = None
        self._driver: Any = None
        self._cut = False
        self._ended = False

    @property
    def dialect(self) -> Dialect:
        """The database's kind."""
        return self._database.dialect

    async def rows(
        self,
        statement: sa.Executable,
        parameters: Parameters | Sequence[Parameters] | None = None,
        *,
        slow: bool = False,
    ) -> Sequence[Row]:
        """Run a statement and return its rows."""
        return (await self._execute(statement, parameters, slow)).all()

    async def row(
        self, statement: sa.Executable, parameters: Parameters | None = None, *, slow: bool = False
    ) -> Row | None:
        """Run a statement and return its first row, or None."""
        return (await self._execute(statement, parameters, slow)).first()

    async def value(self, statement: sa.Executable, parameters: Parameters | None = None) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        row = await self.row(statement, parameters)
        return None if row is None else row[0]

    async def run(
        self,
        statement: sa.Executable,
        parameters: Parameters | Sequence[Parameters] | None = None,
        *,
        slow: bool = False,
    ) -> int:
        """Run a statement, once or for each of many parameters, and return how many rows it touched."""
        return (await self._execute(statement, parameters, slow)).rowcount

    async def commit(self) -> None:
        """Make the changes durable and end.

        Raises:
            StorageUnavailable: the database did not confirm; the changes may be there or not.
        """
        self._ended = True
        if self._connection is None:
            return
        try:
            if self.dialect == "sqlite":
                await self._database.whole(self._connection.commit())
            else:
                with self._deadline(_PATIENCE):
                    await self._connection.commit()
        except DATABASE_FAILURES as error:
            raise self._told(translate(error) or unavailable(error)) from error
        self._database.answered()
        await self.rollback()

    async def rollback(self) -> None:
        """Undo what was not committed, and end; runs to its end also when the task is cancelled."""
        self._ended = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._database.finish(self._release(connection))

    async def _execute(
        self, statement: sa.Executable, parameters: Parameters | Sequence[Parameters] | None, slow: bool
    ) -> sa.CursorResult[*tuple[Any, ...]]:
        if self._ended:
            raise RuntimeError("this unit of work has ended; begin another one")
        if self.readonly and getattr(statement, "is_dml", False):
            # The databases refuse it as well, but not PostgreSQL outside of a transaction.
            raise RuntimeError(_READONLY)
        try:
            if self._connection is not None:
                result = await self._attempt(self._connection, statement, parameters, _SLOW if slow else _PATIENCE)
            else:
                result = await self._first(statement, parameters, slow)
        except DATABASE_FAILURES as error:
            if self.readonly and refuses_writing(error):
                raise RuntimeError(_READONLY) from error
            translated = translate(error)
            if translated is None:
                raise
            raise self._told(translated) from error
        self._database.answered()
        return result

    def _told(self, error: EudaiError) -> EudaiError:
        if isinstance(error, DatabaseAway):
            self._database.outage.failed(error.reason)
        return error

    async def _first(
        self, statement: sa.Executable, parameters: Parameters | Sequence[Parameters] | None, slow: bool
    ) -> sa.CursorResult[*tuple[Any, ...]]:
        begun, patience = asyncio.get_running_loop().time(), _SLOW if slow else _PATIENCE
        connection = await self._connect(begun)
        try:
            return await self._attempt(connection, statement, parameters, self._database.turns.left(begun, patience))
        except sa.exc.DBAPIError as error:
            if self._cut or not error.connection_invalidated:
                raise
        self._connection = None
        await self._database.finish(self._release(connection))
        connection = await self._connect(begun)
        return await self._attempt(connection, statement, parameters, self._database.turns.left(begun, patience))

    async def _connect(self, begun: float) -> AsyncConnection:
        engine = self._database.engine(readonly=self.readonly, snapshot=self._snapshot)
        if self._database.dialect == "sqlite":
            # Bounded by the pool: waiting for one's turn is no failure.
            self._connection = await self._database.connect(engine)
            return self._connection
        turns = self._database.turns
        await turns.take(begun, CONNECT_SECONDS)
        try:
            async with asyncio.timeout(max(turns.left(begun, _PATIENCE), 0.1)):
                self._connection = await self._database.connect(engine)
                self._driver = (await self._connection.get_raw_connection()).driver_connection
        except sa.exc.DBAPIError as error:
            # No statement was sent, so whatever it was, the database did not let us in.
            raise self._told(unavailable(error)) from error
        finally:
            if self._connection is None:
                turns.give_back()
        return self._connection

    async def _attempt(
        self,
        connection: AsyncConnection,
        statement: sa.Executable,
        parameters: Parameters | Sequence[Parameters] | None,
        seconds: float,
    ) -> sa.CursorResult[*tuple[Any, ...]]:
        if self.dialect == "sqlite":
            return await self._database.whole(connection.execute(statement, parameters))
        with self._deadline(seconds):
            return await connection.execute(statement, parameters)

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        if self._driver is None:
            yield
            return
        handle = asyncio.get_running_loop().call_later(max(seconds, 0.1), self._abort)
        try:
            yield
        finally:
            handle.cancel()

    def _abort(self) -> None:
        self._cut = True
        self._driver.terminate()

    async def _release(self, connection: AsyncConnection) -> None:
        try:
            with self._deadline(_PATIENCE):
                if self.dialect == "sqlite":
                    await self._undo(connection)
                await connection.close()
        except DATABASE_FAILURES as error:
            # The connection is lost, and the transaction with it: undone, which is what was wanted.
            _log.debug("a connection was lost while its transaction was undone: %s", type(error).__name__)
        finally:
            if self.dialect == "postgresql":
                self._database.turns.give_back()

    async def _undo(self, connection: AsyncConnection) -> None:
        """See that no transaction is open on a connection of SQLite that is given back.

        A COMMIT that fails leaves one open, of which SQLAlchemy knows nothing any more; the next one to use the
        connection would be told that it cannot begin.
        """
        if connection.invalidated:
            return
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            await driver.rollback()
        except sqlite3.Error as error:
            # It is closed instead, which undoes the transaction just as well.
            _log.debug("a transaction could not be undone: %s", type(error).__name__)
            await connection.invalidate()
