"""The optional capability ``portable`` of a storage: everything in it, to back up, to restore, to move elsewhere.

Values travel in one neutral form, the same from every database, and each row as a JSON array of them:

=============  ====================================================================================
column         value
=============  ====================================================================================
any            ``null`` for the absence of a value
text           the text
id             32 hexadecimal digits
time           RFC 3339 in UTC with microseconds, such as ``2026-11-25T08:30:00.000000Z``
bytes          base64
truth          ``true`` or ``false``
integer        the number, exactly
float          the number; ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` as texts
exact decimal  a text of its digits
JSON           an array of one element, the value: so JSON's own null is ``[null]``
any other      what the database writes it as
=============  ====================================================================================
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from eudai_core.model import MigrationSource

__all__ = ["Loading", "PortableDatabase", "PortableStorage", "Row", "RowSource", "Snapshot", "TableShape"]

Row: TypeAlias = Sequence[Any]
"""The values of a table's columns in the neutral form, ready for JSON."""


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table's name and the columns that its rows have, in their order."""

    name: str
    columns: tuple[str, ...]


class RowSource(Protocol):
    """Whole tables that can be read."""

    @property
    def revisions(self) -> Mapping[str, str]:
        """Which revision the tables of each source of migrations are at; ``core`` is the core's."""
        ...

    @property
    def tables(self) -> Sequence[TableShape]:
        """The tables of the core and of plugins, also of plugins that are not installed any more, by name."""
        ...

    def rows(self, table: TableShape) -> AsyncIterator[Sequence[Row]]:
        """Give the rows of a table, in batches of about a megabyte; their order means nothing."""
        ...

    async def last_keys(self) -> Mapping[str, int]:
        """Return the last key that was generated in each table that keeps count of it, whether its row is still there.

        Other rows may still speak of a key whose own row is gone, so that it must not be given again.
        """
        ...


class Snapshot(RowSource, Protocol):
    """One state of a database, whatever is written meanwhile."""

    async def count(self, table: TableShape) -> int:
        """Return how many rows a table has."""
        ...


class Loading(Snapshot, Protocol):
    """One transaction that fills empty tables; it shows what was loaded so far."""

    async def load(self, table: TableShape, batches: AsyncIterator[Sequence[Row]]) -> None:
        """Put rows into a table. References between rows may point anywhere until :meth:`settle`.

        Raises:
            ConfigError: the database has no such table or column, or cannot keep a value; says which table.
        """
        ...

    async def settle(self, last_keys: Mapping[str, int]) -> None:
        """Check all references, and let generated keys go on; afterwards nothing is loaded.

        They go on above the loaded ones and above ``last_keys``, those of the source.

        Raises:
            ConfigError: a row belongs to something that is not there.
        """
        ...

    async def commit(self) -> None:
        """Make everything durable."""
        ...


class PortableDatabase(Protocol):
    """A database as a whole. All raise StorageUnavailable when it does not answer, and wait for it at their leisure."""

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """Read one state of everything; others go on writing.

        Raises:
            StorageUnavailable: there are no tables yet.
        """
        ...

    async def contents(self) -> Mapping[str, int]:
        """Return how many rows each table has that must be empty before loading; only of those that are not."""
        ...

    async def in_use(self) -> bool:
        """Tell whether a server is connected, as far as the database can tell."""
        ...

    async def prepare(
        self, sources: Sequence[MigrationSource], revisions: Mapping[str, str], *, dry_run: bool = False
    ) -> None:
        """Make the tables exactly those of ``revisions``, in a database without contents.

        With ``dry_run`` it is only told whether the revisions are known.

        Raises:
            ConfigError: a revision is not known to this program.
            Conflict: there are contents.
        """
        ...

    def loading(self) -> AbstractAsyncContextManager[Loading]:
        """Begin to load; what was not committed at the end is undone, however it ends.

        Raises:
            Conflict: there are contents.
        """
        ...


@runtime_checkable
class PortableStorage(Protocol):
    """A storage with the capability."""

    def portable(self) -> PortableDatabase:
        """Everything in the database."""
        ...
