"""What reads files, and what fetches pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["FetchedPage", "TextExtractor", "URLFetcher"]


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


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A page that is being fetched: where it was found in the end, and its bytes, which are read once, in order.

    ``media_type`` is what the server of the page said, with or without parameters, or empty; ``title`` is the page's
    own where the fetcher knows it, else empty. ``body`` holds the bytes without any encoding of the transfer.
    """

    final_url: str
    media_type: str
    title: str
    body: AsyncIterator[bytes]


@runtime_checkable
class URLFetcher(Protocol):
    """Fetches pages whose addresses have the scheme that it is registered for.

    An address was typed by a user: a fetcher alone decides which hosts the server may reach, at every redirect.
    """

    def fetch(self, url: str) -> AbstractAsyncContextManager[FetchedPage]:
        """Open the page at ``url``, an absolute address in the form that RFC 3986 allows; leaving closes it.

        The caller bounds bytes and time, and leaves early when either is spent. Cancelling ends it at once.

        Raises:
            InvalidInput: it cannot be had, now or later; ``detail`` says why, to the user who gave the address.
            Unavailable: it cannot be had now.
        """
        ...
