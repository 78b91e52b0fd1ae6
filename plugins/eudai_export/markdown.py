"""Conversations as Markdown: what was said, word for word, under a heading for each message."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from eudai_core.contracts import PluginContext
from eudai_core.model import Citation, Conversation, Message
from eudai_export.wording import UNTITLED, ending, one_line, speaker, timestamp, verdict

__all__ = ["MarkdownExporter", "markdown_exporter"]

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>#|])")
_TICKS: Final = re.compile("`+")


class MarkdownExporter:
    """The exporter ``markdown``; see eudai_core.contracts.Exporter.

    Messages are Markdown already and are not changed. Thinking is left out unless it is asked for.
    """

    media_type = "text/markdown; charset=utf-8"
    extension = "md"

    def __init__(self, *, thinking: bool = False) -> None:
        """Write the thinking before each answer when ``thinking`` says so."""
        self._thinking = thinking

    async def export(self, conversation: Conversation, messages: AsyncIterator[Message]) -> AsyncIterator[bytes]:
        """Give the document, one piece a message."""
        yield _encoded(f"# {_escaped(conversation.title) or UNTITLED}\n\n{timestamp(conversation.created_at)}\n")
        async for message in messages:
            yield _encoded("".join(self._message(message)))

    def _message(self, message: Message) -> Iterator[str]:
        yield f"\n## {_escaped(speaker(message))}\n\n{timestamp(message.timestamp)}\n"
        if self._thinking and message.thinking:
            fence = _fence_around(message.thinking)
            yield f"\n{fence}thinking\n{message.thinking.rstrip()}\n{fence}\n"
        if message.text.strip():
            yield f"\n{message.text.rstrip()}\n"
        if (end := ending(message)) is not None:
            yield f"\n*{end}*\n"
        if message.citations:
            yield f"\n{_sources(message.citations)}"


def markdown_exporter(context: PluginContext) -> MarkdownExporter:
    """Make the exporter."""
    return MarkdownExporter()


def _sources(citations: Sequence[Citation]) -> str:
    lines = (f"- {_escaped(c.id)} ({verdict(c.verdict)}): {_escaped(c.quote)}\n" for c in citations)
    return "Citations:\n\n" + "".join(lines)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", one_line(text))


def _fence_around(text: str) -> str:
    """Return a fence that no run of backticks in the text ends (CommonMark 0.31, section 4.5)."""
    return "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(text)), default=0))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
