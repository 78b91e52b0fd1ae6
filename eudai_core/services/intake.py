"""Bytes on their way in: into the blob store first, then named by a row; what no row names in the end is removed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from eudai_core.contracts import BlobStore
from eudai_core.errors import BadFile, EudaiError, FieldError, StorageUnavailable
from eudai_core.ingest.media_type import HEAD_BYTES
from eudai_core.model import BlobInfo

__all__ = ["Batch", "Intake", "Taken"]

MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """A blob that was stored, and its first bytes, which tell its media type."""

    blob: BlobInfo
    head: bytes


class Intake:
    """Takes bytes in; each piece of work in a batch of its own."""

    def __init__(self, blobs: BlobStore | None, *, most_mb: int) -> None:
        """Take files of at most ``most_mb`` megabytes; without a blob store all are refused."""
        self._blobs = blobs
        self._most = most_mb * MEGABYTE

    @property
    def blobs(self) -> BlobStore:
        """Where bytes are kept.

        Raises:
            StorageUnavailable: nowhere.
        """
        if self._blobs is None:
            raise StorageUnavailable("No blob store is loaded, so files cannot be kept: see `eudai plugins list`.")
        return self._blobs

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[Batch]:
        """Give a batch; at the end of the block its blobs are removed, but those that a committed row names."""
        batch = Batch(self.blobs, self._most)
        try:
            yield batch
        except BaseException as error:
            # A commit that is not confirmed may have named the bytes, so only a certain refusal removes them.
            refused = isinstance(error, EudaiError) and not isinstance(error, StorageUnavailable)
            if refused or not batch.in_doubt:
                await batch.discard()
            raise
        await batch.discard()


class Batch:
    """Blobs that came in together. Set ``in_doubt`` before the unit of work that names them begins."""

    def __init__(self, blobs: BlobStore, most: int) -> None:
        self._blobs = blobs
        self._most = most
        self._stored: dict[str, BlobInfo] = {}
        self.in_doubt = False

    async def take(self, key: str, chunks: AsyncIterator[bytes], *, what: str) -> Taken:
        """Store ``chunks`` under ``key``; ``what`` begins the sentence that says what is wrong with them.

        Raises:
            BadFile: there are no bytes, or too many.
            StorageUnavailable: the blob store does not answer, or is full.
        """
        head = bytearray()
        async with aclosing(self._limited(what, chunks, head)) as pieces:
            blob = await self._blobs.put(key, pieces)
        self._stored[key] = blob
        if blob.size == 0:
            raise BadFile(f"{what} is empty.", errors=(FieldError("$.files", "is empty"),))
        return Taken(blob, bytes(head))

    def keep(self, key: str) -> None:
        """A row names the blob: it stays."""
        self._stored.pop(key, None)

    async def discard(self) -> None:
        """Remove the blobs that nothing names."""
        for key in list(self._stored):
            await self._blobs.delete(key)
            del self._stored[key]

    async def _limited(self, what: str, chunks: AsyncIterator[bytes], head: bytearray) -> AsyncGenerator[bytes, None]:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > self._most:
                problem = f"is larger than {self._most // MEGABYTE} MB"
                raise BadFile(f"{what} {problem}.", errors=(FieldError("$.files", problem),))
            if len(head) < HEAD_BYTES:
                head += chunk[: HEAD_BYTES - len(head)]
            yield chunk
