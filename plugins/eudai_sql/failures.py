"""From what databases raise to what eudai says.

The rule: what does not answer, is full, locked or going away is ``StorageUnavailable``; a taken name is ``Conflict``;
a reference to something deleted meanwhile is ``NotFound``; data that no database can keep is ``InvalidInput``. What is
left is a fault of the program and stays as it is.
"""

from __future__ import annotations

import socket
import sqlite3
import ssl
from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from eudai_core.errors import Conflict, EudaiError, InvalidInput, NotFound, StorageUnavailable

__all__ = [
    "DATABASE_FAILURES",
    "DatabaseAway",
    "TablesMissing",
    "reason_of",
    "refuses_writing",
    "translate",
    "unavailable",
]

DATABASE_FAILURES: Final = (sa.exc.SQLAlchemyError, OSError, TimeoutError, UnicodeError, OverflowError)
"""What a statement may raise when the database, or the data given to it, is at fault."""

# Classes of SQLSTATE (PostgreSQL manual, appendix A): connection, authorisation, database missing, resources,
# operator's work, system errors, damaged data; and single codes: cancelled by time limit, read-only server, a right
# that is missing.
_AWAY_CLASSES: Final = frozenset({"08", "28", "3D", "53", "57", "58", "XX"})
_AWAY_CODES: Final = frozenset({"25P03", "25006", "42501"})
_HELD_CODES: Final = frozenset({"40001", "40P01", "55P03"})
"""Somebody else holds what is needed: the database itself is well."""
_NO_TABLES: Final = frozenset({"42P01", "3F000"})
_BAD_DATA_CLASSES: Final = frozenset({"22", "54"})
_UNIQUE: Final = frozenset({"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})
_MISSING_REFERENCE: Final = frozenset({"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"})


_DETAIL: Final = "The database does not answer or cannot take more; try again in a moment."
_HELD: Final = "Others are changing the same data; try again in a moment."
_SILENT: Final = "the database does not answer"
_REFUSED: Final = (
    "the database refuses this user: check the user name and password in EUDAI_DATABASE_URL, and that the user is "
    "there and may log in"
)
_REASONS: Final[Mapping[str, str]] = {
    "28": _REFUSED,
    "3D": "the server has no database of this name: make it, or correct the name in EUDAI_DATABASE_URL",
    "08P01": (
        "the server, or a connection pooler before it, refuses how the connection is made: with a pooler set "
        "EUDAI_DATABASE_DIRECT_URL and leave EUDAI_DATABASE_POOLER on; else check the names in EUDAI_DATABASE_URL"
    ),
    "42501": "the user of EUDAI_DATABASE_URL lacks a right that is needed: make it the owner of the database",
    "53300": "the database takes no more connections: raise its max_connections, or lower EUDAI_DATABASE_POOL_SIZE",
    "53100": "the disk of the database is full",
    "25006": "the database is read-only: let EUDAI_DATABASE_URL name the server that takes writes",
    "57P03": "the database is starting or stopping",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_BUSY": "another program holds the SQLite file",
    "SQLITE_CANTOPEN": "the SQLite file cannot be opened: see that its directory is there and may be written to",
    "SQLITE_READONLY": "the SQLite file cannot be written to: see to its owner and its mode",
    "SQLITE_CORRUPT": "the SQLite file is damaged: restore a backup",
    "SQLITE_NOTADB": "the SQLite file is no database: restore a backup, or name another file",
}
"""What an operator is told, by SQLSTATE, its class, or SQLite's name of the error."""


class DatabaseAway(StorageUnavailable):
    """The database cannot be used; ``reason`` is for operators: health, the log and the command line."""

    def __init__(self, reason: str = _SILENT, detail: str = _DETAIL) -> None:
        """Keep ``reason``; ``detail`` is for everybody."""
        super().__init__(detail, retry_after=2.0)
        self.reason = reason


class TablesMissing(DatabaseAway):
    """The database answers, but nobody has made its tables yet."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "the database has no tables yet: run `eudai db upgrade`",
            "The database has no tables yet: run `eudai db upgrade`.",
        )


def unavailable(error: BaseException | None = None) -> DatabaseAway:
    """Return the error of a database that does not answer, because of ``error``."""
    return DatabaseAway(_SILENT if error is None else reason_of(error))


def reason_of(error: BaseException) -> str:
    """Return what an operator is told of an error of SQLAlchemy, a driver or the system."""
    cause, state = _cause_and_state(error)
    known = _REASONS.get(state) or _REASONS.get(state[:2])
    if known is not None:
        return known
    if isinstance(cause, sa.exc.TimeoutError):
        return "all connections to the database are in use: raise EUDAI_DATABASE_POOL_SIZE when this lasts"
    if isinstance(cause, socket.gaierror):
        return "the host of the database is not known: check EUDAI_DATABASE_URL"
    if isinstance(cause, ssl.SSLError):
        return "the encrypted connection to the database failed: check sslmode in EUDAI_DATABASE_URL"
    return _SILENT


def refuses_writing(error: BaseException) -> bool:
    """Tell whether a statement failed because its transaction, or its database, is read-only."""
    return _cause_and_state(error)[1] in {"25006", "SQLITE_READONLY"}


def translate(error: BaseException) -> EudaiError | None:
    """Return what ``error`` means to callers, or None for a fault of the program."""
    if isinstance(error, sa.exc.StatementError) and isinstance(error.orig, EudaiError):
        return error.orig
    if isinstance(error, sa.exc.DBAPIError):
        return _from_driver(error)
    if isinstance(error, sa.exc.StatementError) and error.orig is not None:
        return _from_value(error.orig)
    if isinstance(error, OSError | TimeoutError | sa.exc.TimeoutError):
        return unavailable(error)
    return _from_value(error)


def _cause_and_state(error: BaseException) -> tuple[BaseException, str]:
    """Return what the driver raised, and its SQLSTATE or SQLite's name of it."""
    cause: BaseException = error
    if isinstance(error, sa.exc.StatementError) and error.orig is not None:
        cause = error.orig
    return cause, getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or ""


def _from_value(error: BaseException) -> EudaiError | None:
    if isinstance(error, UnicodeError | OverflowError):
        return InvalidInput("A value is too large, or a text is not valid Unicode; correct it and try again.")
    return None


def _from_driver(error: sa.exc.DBAPIError) -> EudaiError | None:
    if error.connection_invalidated:
        return unavailable(error)
    if isinstance(error.orig, sqlite3.Error):
        return _from_sqlite(error.orig)
    return _from_postgresql(error)


def _from_sqlite(error: sqlite3.Error) -> EudaiError | None:
    name = getattr(error, "sqlite_errorname", "")
    if isinstance(error, sqlite3.IntegrityError):
        return _from_constraint(name)
    # SQLITE_ERROR is a wrong statement, unless the tables are not there yet. All others are about the file.
    if name == "SQLITE_ERROR":
        return TablesMissing() if "no such table" in str(error) else None
    return unavailable(error) if isinstance(error, sqlite3.DatabaseError) else None


def _from_postgresql(error: sa.exc.DBAPIError) -> EudaiError | None:
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        # asyncpg could not encode a value for its type: too large a number, for example.
        bad_value = error.orig is not None and isinstance(error.orig.__cause__, ValueError)
        return InvalidInput("A value does not fit its field; correct it and try again.") if bad_value else None
    if state in _NO_TABLES:
        return TablesMissing()
    if state in _HELD_CODES:
        return StorageUnavailable(_HELD, retry_after=2.0)
    if state[:2] in _AWAY_CLASSES or state in _AWAY_CODES:
        return unavailable(error)
    if state[:2] in _BAD_DATA_CLASSES:
        return InvalidInput("A value does not fit its field; correct it and try again.")
    return _from_constraint(state)


def _from_constraint(code: str) -> EudaiError | None:
    if code in _UNIQUE:
        return Conflict("Something of this name is there already; choose another name.")
    if code in _MISSING_REFERENCE:
        return NotFound("What this belongs to is not there, or not any more.")
    return None
