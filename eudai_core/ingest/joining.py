"""One canonical text out of an extractor's blocks, the text that passages and citations count their characters in."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from eudai_core.errors import BadFile
from eudai_core.model import Block, Passage

__all__ = ["MAX_CHARACTERS", "JoinedText", "join"]

MAX_CHARACTERS: Final = 50_000_000
"""How long a document's text may be, in code points."""

_UNUSABLE: Final = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class JoinedText:
    """The text, and from which of its code points on each block's heading holds."""

    text: str
    starts: Sequence[int] = ()
    headings: Sequence[str] = ()

    def name_passages(self, passages: Iterable[Passage]) -> list[Passage]:
        """Give passages without a heading the one of the block that they begin in."""
        return [
            passage if passage.heading else replace(passage, heading=self._heading_at(passage.start))
            for passage in passages
        ]

    def _heading_at(self, offset: int) -> str:
        index = bisect_right(self.starts, offset) - 1
        return self.headings[index] if index >= 0 else ""


def join(blocks: Iterable[Block]) -> JoinedText:
    """Join blocks: those that know their lines stand on these lines again, others are parted by an empty line.

    So the text of a file that has lines is the file's own, and a line is found by counting line feeds. NUL characters
    and lone surrogates, which databases refuse, become U+FFFD; carriage returns become line feeds.

    Raises:
        BadFile: the text is longer than ``MAX_CHARACTERS``, or there is none.
    """
    parts: list[str] = []
    starts: list[int] = []
    headings: list[str] = []
    size = 0
    next_line: int | None = None
    for block in blocks:
        text = _usable(block.text)
        gap = _gap(next_line, block.line) if parts else ""
        size += len(gap) + len(text)
        if size > MAX_CHARACTERS:
            raise BadFile(f"This file holds more text than the {MAX_CHARACTERS:,} characters that are read.")
        parts += (gap, text)
        starts.append(size - len(text))
        headings.append(_usable(block.heading or ""))
        next_line = None if block.line is None else block.line + text.count("\n")
    joined = "".join(parts)
    if not joined.strip():
        raise BadFile("No text was found in this file.")
    return JoinedText(joined, starts, headings)


def _gap(at: int | None, line: int | None) -> str:
    """Return what stands between a block that ended on line ``at`` and one that begins on ``line``."""
    if at is None or line is None or line < at:
        return "\n\n"
    # Bounded before it is made: the number comes from a process that read a hostile file.
    return "\n" * min(line - at, MAX_CHARACTERS + 1)


def _usable(text: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNUSABLE.sub("\ufffd", text)
