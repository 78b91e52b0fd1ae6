"""The database's tables at the start of a server, and the lock that keeps an embedded database to one server."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from eudai_core.contracts import Storage
from eudai_core.errors import ConfigError, StorageUnavailable
from eudai_core.plugin_tables import CORE_BRANCH, Migrated, migrate_all
from eudai_core.plugins import PluginHost

try:
    import fcntl
except ImportError:  # Windows: the lock is not taken there, and the documents say so
    fcntl = None  # type: ignore[assignment]  # the module is missing on this platform

__all__ = ["prepare_schema", "single_server"]

LOCK_NAME: Final = "server.lock"
_HELD: Final = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES})
"""What a lock that somebody else holds is refused with (flock(2)). All else is about the file itself."""
_log = logging.getLogger(__name__)


async def prepare_schema(storage: Storage, host: PluginHost) -> None:
    """Bring an embedded database up to date; ask the operator to do so with a shared one.

    A plugin whose own tables cannot be brought up to date, or are not, is left out, and the server starts. A shared
    database that does not answer is waited for elsewhere: the server starts, says so in its health, and serves when it
    is there.

    Raises:
        ConfigError: the database is newer than this program, or a shared one is older than it needs.
    """
    shared = not storage.single_process
    try:
        result = await migrate_all(storage, host.migrations(), dry_run=shared)
    except StorageUnavailable as error:
        if not shared:
            raise
        _log.warning("the server starts without its database and serves when it is there: %s", error.detail)
        return
    if not shared and result.revisions:
        _log.info("the database is up to date: %d revisions applied", len(result.revisions))
    failed = dict(result.failed)
    if shared:
        failed |= _outdated(result)
    for branch, reason in failed.items():
        await host.leave_out(branch, reason)


def _outdated(result: Migrated) -> Mapping[str, str]:
    """Return the plugins whose tables are older than they need, with what to do; refuse when the core's are."""
    advice = "Run `eudai db upgrade`, then start again."
    lacking = dict(result.lacking())
    if count := lacking.pop(CORE_BRANCH, 0):
        raise ConfigError(f"The database lacks {count} revisions of its tables. {advice}")
    return {
        branch: f"the database lacks {count} revisions of its tables. {advice}" for branch, count in lacking.items()
    }


@contextmanager
def single_server(directory: Path) -> Iterator[None]:
    """Hold the data directory for one server process; the lock goes with the process, however it ends.

    Raises:
        ConfigError: another server holds it, or it cannot be locked.
    """
    with _lock_file(directory) as file:
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


def _lock_file(directory: Path) -> IO[str]:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (directory / LOCK_NAME).open("a+", encoding="ascii")
    except OSError as error:
        raise _unusable(error) from error


def _lock(file: IO[str]) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise _unusable(error) from error
    return True


def _unusable(error: OSError) -> ConfigError:
    return ConfigError(
        f"The data directory cannot be locked for this server ({error.strerror}): choose a directory of this machine "
        "that it may write to (EUDAI_DATA_DIR or --data-dir), or use PostgreSQL (--database-url)."
    )
