"""The database's tables at the start of a server, and the lock that keeps an embedded database to one server."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from eudai_core.contracts import Storage
from eudai_core.errors import ConfigError, StorageUnavailable
from eudai_core.model import MigrationSource

try:
    import fcntl
except ImportError:  # Windows: the lock is not taken there, and the documents say so
    fcntl = None  # type: ignore[assignment]  # the module is missing on this platform

__all__ = ["prepare_schema", "single_server"]

LOCK_NAME: Final = "server.lock"
_log = logging.getLogger(__name__)


async def prepare_schema(storage: Storage, sources: Sequence[MigrationSource]) -> None:
    """Bring an embedded database up to date; ask the operator to do so with a shared one.

    A shared database that does not answer is waited for elsewhere: the server starts, says so in its health, and
    serves when it is there.

    Raises:
        ConfigError: the database is newer than this program, or a shared one is older than it needs.
    """
    if storage.single_process:
        applied = await storage.migrate(sources)
        if applied:
            _log.info("the database is up to date: %d revisions applied", len(applied))
        return
    try:
        missing = await storage.migrate(sources, dry_run=True)
    except StorageUnavailable as error:
        _log.warning("the database does not answer yet: %s", error.detail)
        return
    if missing:
        raise ConfigError(
            f"The database lacks {len(missing)} revisions of its tables. Run `eudai db upgrade`, then start again."
        )


@contextmanager
def single_server(directory: Path) -> Iterator[None]:
    """Hold the data directory for one server process; the lock goes with the process, however it ends.

    Raises:
        ConfigError: another server holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK_NAME).open("a+", encoding="ascii") as file:
        if not _lock(file):
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise ConfigError(
                f"Another eudai server (process {holder}) uses this data directory. An embedded database belongs to "
                "one server: stop the other one, choose another --data-dir, or use PostgreSQL (--database-url)."
            )
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock(file: IO[str]) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
