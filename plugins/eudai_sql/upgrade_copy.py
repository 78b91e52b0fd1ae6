"""An exact copy of an embedded database before its tables are changed.

It is made by SQLite's own backup (https://www.sqlite.org/backup.html), which reads one state of the file whoever writes
to it, and has its name only when it is whole and on the disk.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import stat
from contextlib import closing, suppress
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import Final

from eudai_core.errors import StorageUnavailable

__all__ = ["DIRECTORY", "KEPT", "UpgradeCopy", "copy_before_upgrade", "make_private"]

DIRECTORY: Final = "backups"
"""Where copies are put, beside the database."""
KEPT: Final = 3
"""How many copies stay."""

_log: Final = logging.getLogger(__name__)


class UpgradeCopy:
    """The one copy that is made for the migrations of the core and of all plugins together."""

    def __init__(self) -> None:
        """Nothing is copied yet."""
        self._made = False

    def make(self, path: Path, revision: str) -> None:
        """Copy the database unless that was done; see copy_before_upgrade."""
        if not self._made:
            copy_before_upgrade(path, revision)
            self._made = True


def copy_before_upgrade(path: Path, revision: str) -> Path:
    """Copy the database at ``path``, whose core tables are at ``revision``; return where. Blocking.

    Raises:
        StorageUnavailable: it could not be copied; nothing of the copy is left.
    """
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    directory = path.absolute().parent / DIRECTORY
    copy = directory / f"{path.stem}-{now}-revision-{revision}.db"
    if copy.exists():
        return copy  # made in this very second, of an older state, which is the better one
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        _copy(path, copy)
    except (OSError, sqlite3.Error) as error:
        _log.error("the database could not be copied to %s: %s", copy, error)
        raise StorageUnavailable(
            f"The database was not upgraded, because it could not be copied first ({_reason(error)}). "
            "Nothing was changed: make room for a copy beside it, then start again."
        ) from error
    _log.warning("before its upgrade the database was copied to %s", copy)
    try:
        _forget_old(directory, path.stem)
    except OSError as error:  # the copy is whole, which is what counts
        _log.warning("copies in %s that are not needed any more could not be removed: %s", directory, error)
    return copy


def make_private(path: Path) -> None:
    """Make the file of a new database, and its directory, for this user alone. Blocking; raises OSError.

    What people told the server is there: others on the machine have no business in it.
    """
    path.absolute().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Also in a directory that was there and is open to others; SQLite gives its WAL the same mode.
    real = Path(os.path.realpath(path))  # a link to a file that is not there yet is followed
    try:
        os.close(os.open(real, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        _make_existing_private(real)


def _make_existing_private(path: Path) -> None:
    # Never opened: to close it would drop every lock that SQLite holds on it in this process, and another process
    # could then take the log away under open connections (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if os.name == "posix" and found.st_size == 0:
        path.chmod(0o600)


def _copy(path: Path, copy: Path) -> None:
    # Only one process at a time is here, so that other drafts are of processes that were killed.
    for left in copy.parent.glob(f"{escape(path.stem)}-*-revision-*.db.partial*"):
        left.unlink(missing_ok=True)
    draft = copy.with_name(copy.name + ".partial")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(draft)) as target:
            source.backup(target)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(copy)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _forget_old(directory: Path, stem: str) -> None:
    # The names begin with the time, so that their order is that of their age.
    for old in sorted(directory.glob(f"{escape(stem)}-*-revision-*.db"))[:-KEPT]:
        old.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
