"""What reads files."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["TextExtractor"]


@runtime_checkable
class TextExtractor(Protocol):
    """Names a function that reads text out of files of some media types.

    ``target`` is ``"pkg.mod:func"`` with ``func(path: str) -> Iterator[Block]``; it runs in a child process that is
    killed when it takes too long, too much memory or gives too much text.
    """

    @property
    def media_types(self) -> frozenset[str]:
        """The media types it reads; ``text/*`` stands for a whole family."""
        ...

    @property
    def target(self) -> str:
        """Where the function is."""
        ...
