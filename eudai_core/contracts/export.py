"""What writes conversations out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from eudai_core.model import Conversation, Message

__all__ = ["Exporter"]


@runtime_checkable
class Exporter(Protocol):
    """Writes a conversation in one format; its registered name is the ``format`` of the download."""

    @property
    def media_type(self) -> str:
        """The media type of the result."""
        ...

    @property
    def extension(self) -> str:
        """The file name's extension, without the dot."""
        ...

    def export(self, conversation: Conversation, messages: AsyncIterator[Message]) -> AsyncIterator[bytes]:
        """Give the document for the messages of the active path, oldest first."""
        ...
