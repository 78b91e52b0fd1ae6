"""The capability ``sql``: statements of plugins, as text, in the transaction of the unit of work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa

from eudai_core.errors import PluginError
from eudai_sql.plugin_text import PluginText, read_text
from eudai_sql.transaction import Transaction
from eudai_sql.types import CleanText, Json, UtcDateTime, load_json
from eudai_sql.url import Dialect

__all__ = ["PluginSql"]

T = TypeVar("T")
_KEPT: Final = 1000
_ANY: Final = sa.types.NullType()

_BIND: Final[Mapping[type[Any], sa.types.TypeEngine[Any]]] = {
    type(None): _ANY,
    # The order counts: a bool is an int, and a datetime is a date.
    bool: sa.Boolean(),
    int: sa.BigInteger(),
    float: sa.Double(),
    str: CleanText(),
    bytes: sa.LargeBinary(),
    UUID: sa.Uuid(),
    datetime: UtcDateTime(),
    date: sa.Date(),
    Mapping: Json,
    list: Json,
    tuple: Json,
}
"""How a value is given to the database."""


class PluginSql:
    """See eudai_core.contracts.Sql."""

    __slots__ = ("_tx",)

    def __init__(self, transaction: Transaction) -> None:
        """Work in ``transaction``."""
        self._tx = transaction

    @property
    def dialect(self) -> Dialect:
        """Which SQL it is."""
        return self._tx.dialect

    async def rows(
        self, text: str, parameters: Mapping[str, Any] | None = None, *, types: Mapping[str, type[Any]] | None = None
    ) -> list[dict[str, Any]]:
        """Run a statement and return its rows."""
        values = parameters or {}
        statement = _statement(self._checked(text), [values])
        found = [dict(row._mapping) for row in await _run(self._tx.rows(statement, values))]
        if types and found:
            _convert(found, types)
        return found

    async def run(self, text: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement and return how many rows it changed."""
        values = parameters or {}
        statement = _statement(self._checked(text), [values])
        return max(await _run(self._tx.run(statement, values)), 0)

    async def run_many(self, text: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each of many parameters."""
        checked = self._checked(text)
        if parameters:
            await _run(self._tx.run(_statement(checked, parameters), parameters))

    def _checked(self, text: str) -> PluginText:
        read = read_text(text)
        if self._tx.readonly and not read.reads_only:
            raise PluginError("this unit of work is for reading: begin one without readonly to write")
        return read


def _statement(read: PluginText, parameters: Sequence[Mapping[str, Any]]) -> sa.TextClause:
    """Return the prepared statement for values of these types; the same object for the same text and types."""
    kinds: dict[str, type[Any]] = {}
    for values in parameters:
        if values.keys() != read.names:
            wrong = ", ".join(sorted(values.keys() ^ read.names))
            raise PluginError(f"the parameters of the text and those that were given differ: {wrong}")
        for name, value in values.items():
            kind = _kind(name, value)
            if kind is not type(None) and kinds.setdefault(name, kind) is not kind:
                raise PluginError(f"the parameter {name} has values of several types")
    return _prepared(read.text, tuple(sorted((name, kinds.get(name, type(None))) for name in read.names)))


@lru_cache(_KEPT)
def _prepared(text: str, kinds: tuple[tuple[str, type[Any]], ...]) -> sa.TextClause:
    return sa.text(text).bindparams(*(sa.bindparam(name, type_=_BIND[kind]) for name, kind in kinds))


def _kind(name: str, value: Any) -> type[Any]:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise PluginError(f"the parameter {name} is a time without a zone: use aware times")
    exact = type(value)
    if exact in _BIND:
        return exact
    for kind in _BIND:
        if isinstance(value, kind):
            return kind
    raise PluginError(f"the parameter {name} is a {exact.__name__}, which is no value for a database")


async def _run(work: Awaitable[T]) -> T:
    try:
        return await work
    except sa.exc.SQLAlchemyError as error:
        # What is left is the plugin's own fault, and no class of SQLAlchemy is to be known by plugins.
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise PluginError(f"the database does not understand a statement of a plugin: {reason}") from error


def _convert(rows: Sequence[dict[str, Any]], types: Mapping[str, type[Any]]) -> None:
    if unknown := types.keys() - rows[0].keys():
        raise PluginError(f"the rows have no column {', '.join(sorted(unknown))}")
    for name, kind in types.items():
        convert = _FROM.get(kind)
        if convert is None:
            raise PluginError(f"the type {kind.__name__} of column {name} is none that is understood")
        for row in rows:
            if row[name] is not None:
                row[name] = convert(row[name])


def _uuid(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _datetime(value: datetime | str) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _date(value: date | str) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)


def _json(value: Any) -> Any:
    return load_json(value) if isinstance(value, str | bytes) else value


_FROM: Final[Mapping[type[Any], Callable[[Any], Any]]] = {
    UUID: _uuid,
    datetime: _datetime,
    date: _date,
    bool: bool,
    int: int,
    float: float,
    str: str,
    bytes: bytes,
    dict: _json,
    list: _json,
}
"""How what the database kept becomes a value again."""
