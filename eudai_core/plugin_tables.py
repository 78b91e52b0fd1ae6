"""The tables of plugins: the core's are migrated first, and what goes wrong with a plugin's concerns that plugin."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from eudai_core.contracts import Storage
from eudai_core.errors import EudaiError, StorageUnavailable
from eudai_core.model import MigrationSource

__all__ = ["CORE_BRANCH", "Migrated", "migrate_all"]

CORE_BRANCH: Final = "core"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Migrated:
    """``revisions`` that were applied, or would be, as ``branch:revision``; why branches of plugins ``failed``."""

    revisions: Sequence[str]
    failed: Mapping[str, str] = field(default_factory=dict)

    def lacking(self) -> Mapping[str, int]:
        """Return the number of revisions of each branch, the core's first."""
        counts: dict[str, int] = {}
        for revision in self.revisions:
            branch = revision.partition(":")[0]
            counts[branch] = counts.get(branch, 0) + 1
        return counts


async def migrate_all(storage: Storage, sources: Sequence[MigrationSource], *, dry_run: bool = False) -> Migrated:
    """Bring the core's tables, then those of each plugin, to their newest revision; ``dry_run`` only tells.

    Raises:
        ConfigError: the database is newer than this program.
        StorageUnavailable: the database does not answer.
    """
    if not sources:
        return Migrated(await storage.migrate((), dry_run=dry_run))
    try:
        missing = await storage.migrate(sources, dry_run=True)
    except StorageUnavailable:
        raise
    except (Exception, SystemExit) as error:  # a plugin's package is its own code and may raise anything
        _log.debug("the migrations do not fit together: %s", type(error).__name__)
    else:
        if dry_run or not missing:
            return Migrated(missing)
    return await _one_by_one(storage, sources, dry_run=dry_run)


async def _one_by_one(storage: Storage, sources: Sequence[MigrationSource], *, dry_run: bool) -> Migrated:
    """Go through the core alone, then one plugin more each time, so that what goes wrong has an owner."""
    revisions = list(await storage.migrate((), dry_run=dry_run))
    good: list[MigrationSource] = []
    failed: dict[str, str] = {}
    waiting = list(sources)
    while ready := [source for source in waiting if _branches(good).issuperset(source.depends_on)]:
        for source in ready:
            waiting.remove(source)
            try:
                applied = await storage.migrate([*good, source], dry_run=dry_run)
            except StorageUnavailable:
                raise
            except (Exception, SystemExit) as error:  # as above
                failed[source.branch] = _reason(error)
                _log.warning("The tables of %s are left as they are.", source.branch, exc_info=error)
            else:
                good.append(source)
                revisions += [one for one in applied if one not in revisions]
    for source in waiting:
        missing = ", ".join(sorted(set(source.depends_on) - _branches(good)))
        failed[source.branch] = f"its tables depend on those of {missing}, which are not there"
    return Migrated(revisions, failed)


def _branches(sources: Sequence[MigrationSource]) -> set[str]:
    return {CORE_BRANCH, *(source.branch for source in sources)}


def _reason(error: BaseException) -> str:
    if isinstance(error, EudaiError):
        return error.detail
    return f"its migration raised {type(error).__name__}: {error}".partition("\n")[0]
