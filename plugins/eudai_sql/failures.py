"""From what databases raise to what eudai says.

The rule: what does not answer, is full, locked or going away is ``StorageUnavailable``; a taken name is ``Conflict``;
a reference to something deleted meanwhile is ``NotFound``; data that no database can keep is ``InvalidInput``. What is
left is a fault of the program and stays as it is.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import sqlalchemy as sa

from eudai_core.errors import Conflict, EudaiError, InvalidInput, NotFound, StorageUnavailable

__all__ = ["DATABASE_FAILURES", "TablesMissing", "translate", "unavailable"]

DATABASE_FAILURES: Final = (sa.exc.SQLAlchemyError, OSError, TimeoutError, UnicodeError, OverflowError)
"""What a statement may raise when the database, or the data given to it, is at fault."""

# Classes of SQLSTATE (PostgreSQL manual, appendix A): connection, authorisation, database missing, resources,
# operator's work, system errors, damaged data; and single codes: cancelled by time limit, read-only server, locks.
_AWAY_CLASSES: Final = frozenset({"08", "28", "3D", "53", "57", "58", "XX"})
_AWAY_CODES: Final = frozenset({"25P03", "25006", "40001", "40P01", "55P03"})
_NO_TABLES: Final = frozenset({"42P01", "3F000"})
_BAD_DATA_CLASSES: Final = frozenset({"22", "54"})
_UNIQUE: Final = frozenset({"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})
_MISSING_REFERENCE: Final = frozenset({"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"})


class TablesMissing(StorageUnavailable):
    """The database answers, but nobody has made its tables yet."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("The database has no tables yet: run `eudai db upgrade`.", retry_after=2.0)


def unavailable() -> StorageUnavailable:
    """Return the error of a database that does not answer."""
    return StorageUnavailable(
        "The database does not answer or cannot take more; try again in a moment.", retry_after=2.0
    )


def translate(error: BaseException) -> EudaiError | None:
    """Return what ``error`` means to callers, or None for a fault of the program."""
    if isinstance(error, sa.exc.StatementError) and isinstance(error.orig, EudaiError):
        return error.orig
    if isinstance(error, sa.exc.DBAPIError):
        return _from_driver(error)
    if isinstance(error, sa.exc.StatementError) and error.orig is not None:
        return _from_value(error.orig)
    if isinstance(error, OSError | TimeoutError | sa.exc.TimeoutError):
        return unavailable()
    return _from_value(error)


def _from_value(error: BaseException) -> EudaiError | None:
    if isinstance(error, UnicodeError | OverflowError):
        return InvalidInput("A value is too large, or a text is not valid Unicode; correct it and try again.")
    return None


def _from_driver(error: sa.exc.DBAPIError) -> EudaiError | None:
    if error.connection_invalidated:
        return unavailable()
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
    return unavailable() if isinstance(error, sqlite3.DatabaseError) else None


def _from_postgresql(error: sa.exc.DBAPIError) -> EudaiError | None:
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        # asyncpg could not encode a value for its type: too large a number, for example.
        bad_value = error.orig is not None and isinstance(error.orig.__cause__, ValueError)
        return InvalidInput("A value does not fit its field; correct it and try again.") if bad_value else None
    if state in _NO_TABLES:
        return TablesMissing()
    if state[:2] in _AWAY_CLASSES or state in _AWAY_CODES:
        return unavailable()
    if state[:2] in _BAD_DATA_CLASSES:
        return InvalidInput("A value does not fit its field; correct it and try again.")
    return _from_constraint(state)


def _from_constraint(code: str) -> EudaiError | None:
    if code in _UNIQUE:
        return Conflict("Something of this name is there already; choose another name.")
    if code in _MISSING_REFERENCE:
        return NotFound("What this belongs to is not there, or not any more.")
    return None
