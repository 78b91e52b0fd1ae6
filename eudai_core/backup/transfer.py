"""Carrying tables from a source into an empty database, and comparing what arrived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eudai_core.backup.iterating import closed_after
from eudai_core.backup.lines import RowSum
from eudai_core.backup.progress import Progress
from eudai_core.contracts import Loading, PortableDatabase, Row, RowSource, TableShape
from eudai_core.errors import ConfigError
from eudai_core.model import MigrationSource
from eudai_core.plugin_tables import CORE_BRANCH

__all__ = ["Carried", "Choice", "carry", "choose", "what_is_missing"]

_PLUGINS: Final = "p_"


@dataclass(frozen=True, slots=True)
class Carried:
    """A table that arrived: its rows, and their sum (see RowSum)."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What is carried: the revisions and tables of what is installed here, without those ``left_out``."""

    sources: Sequence[MigrationSource]
    revisions: Mapping[str, str]
    tables: Sequence[TableShape]
    left_out: Sequence[str]


def choose(source: RowSource, sources: Sequence[MigrationSource], *, leave_out: bool) -> Choice:
    """Choose what the installed plugins have tables for.

    Raises:
        ConfigError: there are tables of plugins that are not installed, and they are not to be left out.
    """
    installed = {CORE_BRANCH, *(one.branch for one in sources)}
    missing = sorted(source.revisions.keys() - installed)
    if missing and not leave_out:
        raise ConfigError(
            f"There are tables of {', '.join(missing)}, which no installed plugin makes: install the plugin, or leave "
            "its tables out with --leave-out-unknown."
        )
    strange = tuple(f"p_{branch}_" for branch in missing)
    left_out = [table.name for table in source.tables if table.name.startswith(strange)] if strange else []
    return Choice(
        [one for one in sources if one.branch in source.revisions],
        {branch: revision for branch, revision in source.revisions.items() if branch in installed},
        [table for table in source.tables if table.name not in left_out],
        left_out,
    )


async def what_is_missing(database: PortableDatabase, tables: Collection[TableShape], *, alike: bool) -> str | None:
    """Tell what the prepared database has, and the tables to be carried have not: it would be empty afterwards.

    The tables of plugins are looked at when both databases are ``alike``: a plugin may have some on one kind only.
    """
    given = {table.name: table.columns for table in tables}
    async with database.snapshot() as prepared:
        wanted = [table for table in prepared.tables if alike or not table.name.startswith(_PLUGINS)]
    for table in wanted:
        if table.name not in given:
            return f"the table {table.name} is missing"
        if missing := set(table.columns).difference(given[table.name]):
            return f"the table {table.name} has no column {min(missing)}"
    return None


async def carry(
    source: RowSource, database: PortableDatabase, tables: Collection[TableShape], progress: Progress
) -> dict[str, Carried]:
    """Load tables in one transaction, read each back, compare, and commit.

    Raises:
        ConfigError: what is read back is not what was sent, or does not fit; nothing is kept then.
    """
    async with database.loading() as loading:
        sent = {table: await _send(source, loading, table, progress) for table in tables}
        await loading.settle(await source.last_keys())
        progress.begin("Comparing", sum(rows.rows for rows in sent.values()))
        for table, rows in sent.items():
            arrived = await _sum_of(loading, table, progress)
            if arrived != rows:
                raise ConfigError(
                    f"The table {table.name} did not arrive as it was sent: {rows.rows} rows were sent and "
                    f"{arrived.rows} came back, or their values differ, as exact decimals of more than 15 digits do on "
                    "SQLite. None of the rows was kept."
                )
        await loading.commit()
    return {table.name: rows for table, rows in sent.items()}


async def _send(source: RowSource, loading: Loading, table: TableShape, progress: Progress) -> Carried:
    sent = RowSum()
    async with (
        closed_after(source.rows(table)) as batches,
        closed_after(_counted(batches, sent, progress)) as counted,
    ):
        await loading.load(table, counted)
    return Carried(sent.rows, sent.hexdigest)


async def _counted(
    batches: AsyncIterator[Sequence[Row]], rows: RowSum, progress: Progress
) -> AsyncIterator[Sequence[Row]]:
    async for batch in batches:
        await asyncio.to_thread(rows.add_rows, batch)
        yield batch
        progress.advance(len(batch))


async def _sum_of(loading: Loading, table: TableShape, progress: Progress) -> Carried:
    found = RowSum()
    async with closed_after(loading.rows(table)) as batches:
        async for batch in batches:
            await asyncio.to_thread(found.add_rows, batch)
            progress.advance(len(batch))
    return Carried(found.rows, found.hexdigest)
