"""Moving everything from one database into another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eudai_core.backup.capability import kind_of, portable, refuse_in_use, refuse_rows
from eudai_core.backup.progress import Progress, Silent
from eudai_core.backup.transfer import Carried, carry, choose, what_is_missing
from eudai_core.contracts import Storage
from eudai_core.errors import ConfigError
from eudai_core.model import MigrationSource
from eudai_core.plugin_tables import migrate_all

__all__ = ["MoveReport", "move_database"]


@dataclass(frozen=True, slots=True)
class MoveReport:
    """What was, or would be, moved: ``rows`` of each table; ``tables`` are those that arrived, none in a dry run.

    ``applied`` are migrations that the source had not seen; ``failed`` tells why those of a plugin could not be.
    """

    rows: Mapping[str, int]
    tables: Mapping[str, Carried] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    applied: Sequence[str] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


async def move_database(
    source: Storage,
    target: Storage,
    sources: Sequence[MigrationSource],
    *,
    dry_run: bool = False,
    leave_out: bool = False,
    progress: Progress | None = None,
) -> MoveReport:
    """Carry everything of ``source`` into the empty ``target``, and compare it there with what was sent.

    The source stays as it is. All rows arrive in one transaction, so that a move which is killed leaves an empty
    database, and can be done again. No server may use either of the two meanwhile.

    Raises:
        Conflict: the target is not empty, or a server uses one of the two; nothing was touched.
        ConfigError: something cannot be carried, or did not arrive as it was sent; nothing is kept then.
        StorageUnavailable: one of the two does not answer.
    """
    told = progress or Silent()
    here, there = portable(source), portable(target)
    await refuse_in_use(here, source.description)
    await refuse_in_use(there, target.description)
    await refuse_rows(there, target.description)
    async with here.snapshot() as snapshot:
        choice = choose(snapshot, sources, leave_out=leave_out)
        await there.prepare(choice.sources, choice.revisions, dry_run=dry_run)
        rows = {table.name: await snapshot.count(table) for table in choice.tables}
        if dry_run:
            return MoveReport(rows, left_out=choice.left_out)
        alike = kind_of(source) == kind_of(target)
        if missing := await what_is_missing(there, choice.tables, alike=alike):
            raise ConfigError(f"The database ({source.description}) is not whole: {missing}. No row was moved.")
        told.begin("Rows", sum(rows.values()))
        carried = await carry(snapshot, there, choice.tables, told)
    done = await migrate_all(target, sources)
    return MoveReport(rows, carried, choice.left_out, done.revisions, done.failed)
