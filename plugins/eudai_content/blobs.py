"""Blobs on the local disk, each written whole or not at all.

The bytes go to a temporary file of the same file system, which is flushed to the disk and then renamed; the rename is
flushed too. So a blob that has its name is complete, also after a power cut, and one that failed has no name. What a
killed process leaves is in the temporary directory only, and is removed at the next start. An error of fsync is
never retried: the kernel may have dropped the pages, and a second call would report success (Rebello et al. 2020).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from eudai_content import disk
from eudai_core.contracts import PluginContext
from eudai_core.errors import InvalidInput, NotFound, StorageUnavailable
from eudai_core.ids import new_id
from eudai_core.model import BlobInfo
from eudai_core.settings import CoreSettings

__all__ = ["PIECE", "LocalBlobStore", "local_blob_store"]

PIECE: Final = 256 * 1024
"""How many bytes one step in a thread writes or reads: large enough to make the hops cheap, small enough to be flat."""

_KEY: Final = re.compile(r"(?=.{1,200}\Z)[A-Za-z0-9-]+(?:/[A-Za-z0-9-]+)*", re.ASCII)
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} if hasattr(errno, "EDQUOT") else {errno.ENOSPC, errno.EFBIG}
_STALE_SECONDS: Final = 3600.0
_log = logging.getLogger(__name__)
T = TypeVar("T")


class RunBlocking(Protocol):
    """Runs a function in a thread; asyncio.to_thread is one, PluginContext.run_blocking another."""

    def __call__(self, function: Callable[..., T], /, *args: Any) -> Coroutine[Any, Any, T]:
        """Run it and return what it returns."""
        ...


class LocalBlobStore:
    """The blob store ``local``; see eudai_core.contracts.BlobStore. A key put again names the new bytes."""

    def __init__(self, root: Path, run_blocking: RunBlocking = asyncio.to_thread) -> None:
        """Keep blobs below the directory ``root``, which is made when it is needed."""
        self._files = root / "files"
        self._temporary = root / "tmp"
        self._run_blocking = run_blocking

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> BlobInfo:
        """Store the bytes; see the contract.

        Raises:
            InvalidInput: the key is not ASCII letters, digits, ``-`` and ``/`` between them.
            StorageUnavailable: the disk is full or faulty.
        """
        target = self._path(key)
        writer = disk.Writer(self._temporary / new_id().hex)
        try:
            await self._run(writer.open)
            async with aclosing(_gathered(chunks)) as pieces:
                async for piece in pieces:
                    await self._run(writer.write, piece)
            await self._run(writer.publish, target)
        except BaseException:
            # Also when cancelled: nobody learns of this blob, so nothing of it may stay.
            await self._run(writer.discard)
            raise
        return BlobInfo(key, writer.size, writer.sha256)

    async def read(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Give the bytes; see the contract.

        Raises:
            InvalidInput: the key is not one, or ``start`` or ``length`` is negative.
            NotFound: no blob has this key.
            StorageUnavailable: the disk is faulty.
        """
        if start < 0 or (length is not None and length < 0):
            raise InvalidInput("A range of bytes begins at 0 or later and is not shorter than 0.")
        reader = disk.Reader(self._path(key), start, length)
        try:
            while piece := await _to_the_end(self._run_blocking(reader.read, PIECE)):
                yield piece
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFound("There is no blob with this key.") from error
        except OSError as error:
            raise _failed(error) from error
        finally:
            reader.close()

    async def delete(self, key: str) -> None:
        """Remove a blob if it is there.

        Raises:
            StorageUnavailable: the disk is faulty.
        """
        await self._run(disk.remove, self._path(key))

    async def sweep(self) -> int:
        """Remove temporary files that nobody has written to for an hour; return how many."""
        return await self._run(disk.sweep, self._temporary, _STALE_SECONDS)

    async def aclose(self) -> None:
        """Nothing is held between calls."""

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise InvalidInput("A blob's key is made of ASCII letters, digits, '-' and '/' between them.")
        return self._files.joinpath(*key.split("/"))

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        try:
            return await _to_the_end(self._run_blocking(function, *args))
        except OSError as error:
            raise _failed(error) from error


async def local_blob_store(context: PluginContext) -> LocalBlobStore:
    """Make the store in the data directory, without what killed processes left."""
    store = LocalBlobStore(context.settings(CoreSettings).data_dir / "blobs", context.run_blocking)
    with suppress(StorageUnavailable):  # logged; what cannot be swept now is swept at another start
        await store.sweep()
    return store


def _failed(error: OSError) -> StorageUnavailable:
    _log.error("the local blob store failed: %s", error)
    if error.errno in _FULL:
        return StorageUnavailable("The disk that holds the files is full: free some space, then try again.")
    return StorageUnavailable("The disk that holds the files does not work properly: look at the server's log.")


async def _gathered(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Make large pieces of small ones, and cut none: a piece is at most one chunk longer than PIECE."""
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) >= PIECE:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


async def _to_the_end(work: Awaitable[T]) -> T:
    """Await work in a thread; when cancelled, let it end first, so that what follows never runs beside it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported as forgotten
        raise cancelled
    return task.result()
