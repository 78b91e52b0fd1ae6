"""Markdown (CommonMark 0.31, sections 4.2, 4.3 and 4.5): the text as it is, a block for each heading's part.

Runs in a child process. Nothing is rendered: a language model reads Markdown as well as what would come of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from eudai_content.encoding import open_text
from eudai_content.text import lines
from eudai_core.model import Block

__all__ = ["read"]

_BLOCK: Final = 1 << 16
_ATX: Final = re.compile(r" {0,3}#{1,6}(?:[ \t]+(?P<title>.*))?")
_ATX_CLOSING: Final = re.compile(r"(?:^|[ \t]+)#+$")
_SETEXT: Final = re.compile(r" {0,3}(?:=+|-+)[ \t]*")
_FENCE: Final = re.compile(r" {0,3}(?P<fence>`{3,}(?=[^`]*$)|~{3,})(?P<rest>.*)")
_PARAGRAPH: Final = re.compile(r" {0,3}(?![-*+>#|]|\d+[.)] )\S.*")
"""A line that an underline can turn into a heading: no list, quotation, table or code."""


def read(path: str) -> Iterator[Block]:
    """Give the file in blocks that begin at headings; put one after the other they are the text, unchanged.

    Raises:
        BadFile: it is binary, or not in the encoding that it says.
    """
    part = _Part()
    with open_text(path) as file:
        for number, piece in lines(file):
            yield from part.take(number, piece)
        yield from part.flush()


class _Part:
    """The block being gathered, and whether the reader is inside a fence."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._first = 1
        self._heading: str | None = None
        self._fence = ""

    def take(self, number: int, piece: str) -> Iterator[Block]:
        """Add a line; give the blocks that it ends."""
        line = piece.rstrip("\n")
        if self._in_code(line):
            yield from self._append(number, piece)
        elif (atx := _ATX.fullmatch(line)) is not None:
            yield from self.flush()
            self._heading = _ATX_CLOSING.sub("", (atx["title"] or "").strip()) or None
            yield from self._append(number, piece)
        elif _SETEXT.fullmatch(line) and self._last_can_be_heading():
            title = self._pieces.pop()
            yield from self.flush()
            self._heading = title.strip()
            yield from self._append(number - 1, title)
            yield from self._append(number, piece)
        else:
            yield from self._append(number, piece)

    def flush(self) -> Iterator[Block]:
        """Give what has been gathered, if anything."""
        if self._pieces:
            yield Block("".join(self._pieces), heading=self._heading, line=self._first)
        self._pieces, self._size = [], 0

    def _last_can_be_heading(self) -> bool:
        """Tell whether the last line stands alone; the rare heading of several lines is left as text."""
        alone = len(self._pieces) == 1 or (len(self._pieces) > 1 and not self._pieces[-2].strip())
        return alone and _PARAGRAPH.fullmatch(self._pieces[-1].rstrip("\n")) is not None

    def _append(self, number: int, piece: str) -> Iterator[Block]:
        if self._size and self._size + len(piece) > _BLOCK:
            yield from self.flush()
        if not self._pieces:
            self._first = number
        self._pieces.append(piece)
        self._size += len(piece)

    def _in_code(self, line: str) -> bool:
        """Follow the fences; tell whether this line is code or a fence."""
        match = _FENCE.fullmatch(line)
        if not self._fence:
            self._fence = match["fence"] if match else ""
            return match is not None
        if match and match["fence"].startswith(self._fence) and not match["rest"].strip():
            self._fence = ""
        return True
