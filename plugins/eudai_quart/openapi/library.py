"""The documents of one application, each made when it is first asked for and kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from eudai_quart.context import Surface

__all__ = ["Document", "Library"]

Name = Literal["openapi", "asyncapi", "page"]


@dataclass(frozen=True, slots=True)
class Document:
    """A finished document: its bytes, its ETag, and what else a page may need."""

    content: bytes
    tag: str
    policy: str | None = None


class Library:
    """Makes each document once, in a thread, and nothing before it is wanted."""

    def __init__(self, app: Surface) -> None:
        self._app: Final = app
        self._lock: Final = asyncio.Lock()
        self._made: dict[Name, Document] = {}

    async def get(self, name: Name) -> Document:
        """Return a document."""
        if name not in self._made:
            async with self._lock:  # the first readers come together; one of them is enough to make it
                if name not in self._made:
                    makers: dict[Name, Callable[[], Document]] = {
                        "openapi": self._openapi,
                        "asyncapi": self._asyncapi,
                        "page": self._page,
                    }
                    self._made[name] = await asyncio.to_thread(makers[name])
        return self._made[name]

    def _openapi(self) -> Document:
        from eudai_quart.openapi.document import openapi_document

        return _finished(msgspec.json.encode(openapi_document(self._app)))

    def _asyncapi(self) -> Document:
        from eudai_quart.openapi.asyncapi import asyncapi_document

        return _finished(msgspec.json.encode(asyncapi_document(self._app)))

    def _page(self) -> Document:
        from eudai_quart.openapi.asyncapi import asyncapi_document
        from eudai_quart.openapi.document import openapi_document
        from eudai_quart.openapi.page import render

        content, policy = render(openapi_document(self._app), asyncapi_document(self._app))
        return _finished(content, policy)


def _finished(content: bytes, policy: str | None = None) -> Document:
    return Document(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"', policy)
