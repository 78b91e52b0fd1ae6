"""Histories of revisions, read from their files without Alembic, which is slow to import.

A history is linear: each revision names the one before it. Whether the database is up to date can then be told from
the files' ``revision`` and ``down_revision`` lines alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from eudai_core.errors import ConfigError
from eudai_core.model import MigrationSource

__all__ = ["CORE", "History", "in_order", "read_history", "table_prefix", "version_table"]

CORE: Final = MigrationSource(branch="core", package="eudai_migrations")
"""The core tables."""

_LINE: Final = re.compile(r"^(revision|down_revision)\s*(?::[^=]*)?=\s*(?:None|[\"']([^\"']+)[\"'])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class History:
    """The revisions of one source, oldest first, and the directory of their files."""

    source: MigrationSource
    directory: Path
    revisions: tuple[str, ...]

    @property
    def branch(self) -> str:
        """The source's name."""
        return self.source.branch

    @property
    def version_table(self) -> str:
        """Where the database keeps which revision it is at; one table a source, so that a plugin can be removed."""
        return version_table(self.source.branch)

    @property
    def head(self) -> str:
        """The newest revision."""
        return self.revisions[-1]

    def until(self, revision: str) -> History:
        """Return the history as it ends with ``revision``.

        Raises:
            ConfigError: this program does not know the revision.
        """
        known = len(self.revisions) - len(self.pending(revision))
        return History(self.source, self.directory, self.revisions[:known])

    def pending(self, stored: str | None) -> tuple[str, ...]:
        """Return the revisions that a database at ``stored`` lacks.

        Raises:
            ConfigError: the database is newer than this program.
        """
        if stored is None:
            return self.revisions
        if stored not in self.revisions:
            raise ConfigError(
                f"The tables of {self.source.branch!r} were made by a newer version (revision {stored}; this program "
                f"knows {self.head}): install that version, or restore a backup that was made before it."
            )
        return self.revisions[self.revisions.index(stored) + 1 :]


def version_table(branch: str) -> str:
    """Return the name of the version table of a branch."""
    return f"alembic_version_{branch}"


def table_prefix(branch: str) -> str:
    """Return how the names of all tables of a plugin's branch begin."""
    return f"p_{branch}_"


def read_history(source: MigrationSource) -> History:
    """Read a source's history; blocking.

    Raises:
        ConfigError: there is no revision, or they do not make one line.
    """
    directory = _directory(source)
    after: dict[str | None, str] = {}
    count = 0
    for file in sorted(directory.glob("*.py")):
        names = {name: value or None for name, value in _LINE.findall(file.read_text(encoding="utf-8"))}
        revision = names.get("revision")
        if revision is not None:
            after[names.get("down_revision")] = revision
            count += 1
    line: list[str] = []
    while (following := after.get(line[-1] if line else None)) is not None and following not in line:
        line.append(following)
    if not line or len(line) != count:
        raise ConfigError(f"The migrations of {source.branch!r} in {source.package} do not make one line of revisions.")
    return History(source, directory, tuple(line))


def in_order(sources: Sequence[MigrationSource]) -> list[MigrationSource]:
    """Return the core's source and then the others, each after those it depends on.

    Raises:
        ConfigError: a name is taken twice, missing, or depends on itself.
    """
    waiting = {source.branch: source for source in sources}
    if CORE.branch in waiting or len(waiting) != len(sources):
        raise ConfigError("Two sources of migrations have the same name; one of the plugins must choose another.")
    ordered = [CORE]
    done = {CORE.branch}
    while waiting:
        ready = [source for source in waiting.values() if done.issuperset(source.depends_on)]
        if not ready:
            names = ", ".join(sorted(waiting))
            raise ConfigError(f"The migrations of {names} depend on each other or on a plugin that is not loaded.")
        for source in ready:
            ordered.append(waiting.pop(source.branch))
            done.add(source.branch)
    return ordered


def _directory(source: MigrationSource) -> Path:
    try:
        package = import_module(source.package)
    except ImportError as error:
        raise ConfigError(
            f"The migrations of {source.branch!r} cannot be found: no package {source.package}."
        ) from error
    paths = list(package.__path__)
    return Path(paths[0]) / "versions"
