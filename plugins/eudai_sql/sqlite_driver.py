"""aiosqlite with fewer trips to its thread.

A trip costs as much as a short statement does. The driver makes one for each of: the cursor, the statement, its rows,
the cursor's end. Here a statement is one trip, the BEGIN before it travels with it, and a ROLLBACK of nothing none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Self, cast

import aiosqlite

__all__ = ["SqliteConnection", "connect_sqlite"]

_Parameters = Sequence[Any]


async def connect_sqlite(path: str, **options: Any) -> SqliteConnection:
    """Open a file; ``options`` are those of ``sqlite3.connect``. The connection's thread does not hold up the exit."""
    connection = SqliteConnection(lambda: sqlite3.connect(path, **options), 64)
    connection.thread.daemon = True
    await connection
    return connection


class SqliteConnection(aiosqlite.Connection):
    """A connection whose statements bring their rows along."""

    _begin: str | None = None

    @property
    def thread(self) -> Any:
        """The thread that all calls are made in."""
        return self._thread

    def begin_with_next(self, statement: str) -> None:
        """Run ``statement``, a BEGIN, right before the next one."""
        self._begin = statement

    def cursor(self) -> AbstractAsyncContextManager[aiosqlite.Cursor]:  # type: ignore[override]  # ours is no aiosqlite.Cursor, but does what one does
        """Return a cursor, which needs no thread before its first statement."""
        return cast("AbstractAsyncContextManager[aiosqlite.Cursor]", _Cursor(self))

    async def commit(self) -> None:
        """End the transaction, if there is one."""
        self._begin = None
        if self.in_transaction:
            await super().commit()

    async def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        self._begin = None
        if self.in_transaction:
            await super().rollback()

    async def in_thread(self, call: Callable[[sqlite3.Connection], None]) -> None:
        """Run ``call`` with the connection in its thread, after a BEGIN that waits for it."""
        await self._execute(self._call, call)  # type: ignore[no-untyped-call]  # aiosqlite leaves its types out

    def _call(self, call: Callable[[sqlite3.Connection], None]) -> None:
        begin, self._begin = self._begin, None
        if begin is not None:
            self._conn.execute(begin)
        call(self._conn)


class _Cursor:
    """What SQLAlchemy asks of a cursor of aiosqlite. All rows are there when the statement has run."""

    __slots__ = ("_at", "_connection", "_rows", "arraysize", "description", "lastrowid", "rowcount")

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self._at = 0
        self.arraysize = 1
        self.description: Any = None
        self.lastrowid: int | None = None
        self.rowcount = -1

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def execute(self, statement: str, parameters: _Parameters = ()) -> Self:
        await self._connection.in_thread(lambda connection: self._keep(connection.execute(statement, parameters)))
        return self

    async def executemany(self, statement: str, parameters: Sequence[_Parameters]) -> Self:
        await self._connection.in_thread(lambda connection: self._keep(connection.executemany(statement, parameters)))
        return self

    async def fetchone(self) -> Any:
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        begin, self._at = self._at, self._at + (size or self.arraysize)
        return self._rows[begin : self._at]

    async def fetchall(self) -> list[Any]:
        begin, self._at = self._at, len(self._rows)
        return self._rows[begin:]

    async def close(self) -> None:
        self._rows = []

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        self._at = 0
        self._rows = cursor.fetchall() if cursor.description else []
        self.description, self.lastrowid, self.rowcount = cursor.description, cursor.lastrowid, cursor.rowcount
        cursor.close()
