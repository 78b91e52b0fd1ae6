"""A lock between processes of one machine, by a file."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from eudai_core.errors import StorageUnavailable

__all__ = ["file_lock"]

_POLL_SECONDS: Final = 0.05
_HELD: Final = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})
"""What a lock that somebody else holds is refused with."""

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@asynccontextmanager
async def file_lock(path: Path, *, seconds: float) -> AsyncIterator[None]:
    """Hold the lock of ``path``; it ends with the process at the latest. The file stays.

    Raises:
        StorageUnavailable: another process held it for ``seconds``, or the file cannot be made or locked.
    """
    try:
        descriptor = await asyncio.to_thread(os.open, path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageUnavailable("The directory of the database cannot be written to.") from error
    try:
        end = asyncio.get_running_loop().time() + seconds
        while not _locked(descriptor):
            if asyncio.get_running_loop().time() > end:
                raise StorageUnavailable("Another process works on the database's tables and does not end; see to it.")
            await asyncio.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        _try_lock(descriptor)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise StorageUnavailable(
            f"The directory of the database cannot be locked ({error.strerror}); use one of this machine."
        ) from error
    return True
