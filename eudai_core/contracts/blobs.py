"""Where bytes are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from eudai_core.model import BlobInfo

__all__ = ["BlobStore"]


@runtime_checkable
class BlobStore(Protocol):
    """Keeps immutable byte strings under keys that the caller makes (ASCII letters, digits, ``-`` and ``/``)."""

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> BlobInfo:
        """Store the bytes, all or nothing, and return their size and hash.

        When ``chunks`` raises or the task is cancelled, nothing is left. The bytes are durable when this returns.

        Raises:
            StorageUnavailable: the store does not answer, or its disk is full.
        """
        ...

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Give the bytes from ``start`` on, ``length`` of them at most.

        Raises:
            NotFound: no blob has this key.
            StorageUnavailable: the store does not answer.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove a blob; one that is not there is no error."""
        ...

    async def aclose(self) -> None:
        """Let go of every resource."""
        ...
