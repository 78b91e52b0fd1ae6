"""The optional capability ``sql`` of a unit of work: a plugin's own statements on its own tables.

Not every storage speaks SQL, so a plugin that needs it asks first::

    async with context.storage.unit_of_work() as unit:
        if not isinstance(unit, OffersSql):
            raise PluginError("eudai-tally keeps its counts in SQL tables: it needs a storage that offers them")
        await unit.sql.run("insert into p_tally_answers (run_id) values (:run_id)", {"run_id": run_id})
        await unit.commit()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

__all__ = ["OffersSql", "Sql"]


class Sql(Protocol):
    """Statements in the transaction of the unit of work, beside those of its repositories.

    A statement is one ``select``, ``with``, ``values``, ``insert``, ``update``, ``delete``, ``merge`` or ``replace``.
    Tables are made by migrations, and transactions are ended by the unit of work, so everything else is refused.
    The core's tables may be read and referred to; only the plugin's own, ``p_<branch>_…``, may be written.

    **Parameters** are named: ``:name`` in the text, and exactly these names in the mapping. A colon in a string, a
    quoted name or a comment is only a colon, and so is one of ``::``, the cast of PostgreSQL. Put values into
    parameters and never into the text: it is safe, and each text is prepared once and kept.

    **Values** may be None, bool, int, float, str, bytes, UUID, aware datetime, date, and mappings, lists and tuples,
    which are kept as JSON. Without ``types``, what comes back is what the database keeps:

    ================  ================  ===========================================
    given             on PostgreSQL     on SQLite
    ================  ================  ===========================================
    str, int, float   the same          the same
    bytes             the same          the same
    UUID              UUID              32 hexadecimal digits, as in the core tables
    aware datetime    datetime in UTC   ``2026-11-25 08:30:00.000000``, in UTC
    date              date              ``2026-11-25``
    bool              bool              0 or 1
    JSON              the same          its text
    sum of integers   Decimal or int    int
    ================  ================  ===========================================

    With ``types={"id": UUID, "at": datetime, "data": dict}`` it is the same on both: UUID, aware datetime in UTC, date,
    bool, int, float, str, bytes, and ``dict`` or ``list`` for JSON; None stays None.

    A literal number has the type that the database gives it; an int that is a parameter is a 64-bit one, so that a
    function of PostgreSQL that wants a smaller one needs ``cast(:n as integer)``.

    Errors are those of the repositories: Conflict for a name that is taken, NotFound for a reference to what is not
    there, InvalidInput for a value that does not fit, StorageUnavailable in less than two seconds when the database
    does not answer or has no such table. A statement that the database does not understand, a wrong parameter, and
    writing in a read-only unit of work are PluginError. After any error leave the unit of work: PostgreSQL takes no
    more statements in it.
    ``on conflict do nothing`` works on both and is no error.
    """

    @property
    def dialect(self) -> Literal["postgresql", "sqlite"]:
        """Which SQL it is, for the few statements that must differ."""
        ...

    async def rows(
        self, text: str, parameters: Mapping[str, Any] | None = None, *, types: Mapping[str, type[Any]] | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Run a statement and return its rows, each by the names of its columns; ``types`` are those of columns."""
        ...

    async def run(self, text: str, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement and return how many rows it changed."""
        ...

    async def run_many(self, text: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once for each of many parameters, in one go; none is no error.

        All must have the same names, and for each name values of one type, or None.
        """
        ...


@runtime_checkable
class OffersSql(Protocol):
    """A unit of work with the capability."""

    @property
    def sql(self) -> Sql:
        """The plugin's own statements."""
        ...
