"""Conversations as a page of HTML: for reading and printing, without scripts and without anything from elsewhere.

Every text is escaped and shown as it was typed; nothing in it can become markup. A policy in the page forbids whatever
an escape might miss.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Final

from eudai_core.contracts import PluginContext
from eudai_core.model import Citation, Conversation, Message
from eudai_export.wording import UNTITLED, ending, one_line, speaker, timestamp, verdict

__all__ = ["HtmlExporter", "html_exporter"]

_STYLE: Final = """
:root { color-scheme: light dark; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; }
article { border-top: 1px solid #8886; padding: 0.5rem 0; break-inside: avoid-page; }
h2 { font-size: 1rem; margin: 0.5rem 0 0; }
time { font-size: 0.85rem; opacity: 0.75; }
pre { font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0.5rem 0; }
.note, details, ol { font-size: 0.9rem; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; \
form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1 dir="auto">{title}</h1>
<p>{time}</p>
"""


class HtmlExporter:
    """The exporter ``html``; see eudai_core.contracts.Exporter. Thinking is folded away."""

    media_type = "text/html; charset=utf-8"
    extension = "html"

    async def export(self, conversation: Conversation, messages: AsyncIterator[Message]) -> AsyncIterator[bytes]:
        """Give the page, one piece a message."""
        title = escape(one_line(conversation.title)) or UNTITLED
        head = {"hash": _STYLE_HASH, "style": _STYLE, "title": title, "time": _time(conversation.created_at)}
        yield _encoded(_HEAD.format(**head))
        number = 0
        async for message in messages:
            number += 1
            yield _encoded("".join(_article(number, message)))
        yield b"</main>\n</body>\n</html>\n"


def html_exporter(context: PluginContext) -> HtmlExporter:
    """Make the exporter."""
    return HtmlExporter()


def _article(number: int, message: Message) -> Iterator[str]:
    yield f'<article id="m{number}" class="{message.sender.value}">\n<h2>{escape(speaker(message))}</h2>\n'
    yield f"{_time(message.timestamp)}\n"
    if message.thinking:
        yield f'<details><summary>Thinking</summary>\n<pre dir="auto">\n{escape(message.thinking)}</pre>\n</details>\n'
    # The line feed after <pre> is none of the text (HTML, section 13.1.2.5), so that one at its beginning is kept.
    yield f'<pre dir="auto">\n{_linked(number, message.text, message.citations)}</pre>\n'
    if (end := ending(message)) is not None:
        yield f'<p class="note">{end}</p>\n'
    if message.citations:
        yield "<ol>\n"
        for index, citation in enumerate(message.citations, 1):
            text = f"{citation.id} ({verdict(citation.verdict)}): {citation.quote}"
            yield f'<li id="m{number}c{index}" dir="auto">{escape(text)}</li>\n'
        yield "</ol>\n"
    yield "</article>\n"


def _linked(number: int, text: str, citations: Sequence[Citation]) -> str:
    """Escape a text and make each citation's mark a link to its entry in the list."""
    parts: list[str] = []
    done = 0
    for index, citation in sorted(enumerate(citations, 1), key=lambda entry: entry[1].start):
        if done <= citation.start < citation.end <= len(text):  # others are listed, but have no mark to link
            mark = escape(text[citation.start : citation.end])
            parts += (escape(text[done : citation.start]), f'<a href="#m{number}c{index}">{mark}</a>')
            done = citation.end
    parts.append(escape(text[done:]))
    return "".join(parts)


def _time(moment: datetime) -> str:
    shown = timestamp(moment)
    return f'<time datetime="{shown}">{shown.replace("T", " ").replace("Z", " UTC")}</time>'


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
