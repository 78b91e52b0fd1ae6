"""The chunker ``paragraphs``: passages of 700 to 800 characters that begin and end where the text does.

Paragraphs, list items and fenced code blocks are kept whole while they fit; short neighbours are joined; a heading,
or a definition at the left margin of a source file, begins a new passage. What is longer is cut at sentence ends, or
at line ends in code. Passages do not overlap, and together hold every character that is not white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from eudai_core.contracts import PluginContext
from eudai_core.model import Passage
from eudai_core.text import sentences

__all__ = ["ParagraphChunker", "paragraph_chunker"]

_MOST: Final = 800
_SHORT: Final = 160
"""A passage of fewer characters is not ended by a heading, and may grow by so many: no heading stands alone."""

_FENCE: Final = re.compile(r"[ \t]{0,3}(```+|~~~+)")
_HEADING: Final = re.compile(r"[ \t]{0,3}#{1,6}[ \t]+(\S[^\n]*)")
_DEFINITION: Final = re.compile(
    r"(?:export |public |private |protected |static |pub |async |abstract |final )*"
    r"(?:def|class|function|fn|func|interface|struct|enum|trait|impl|type|module|package|CREATE)\b[^\n]*"
)
_CODE_NAME: Final = re.compile(
    r"\.(?:py|pyi|js|mjs|jsx|ts|tsx|java|kt|go|rs|c|h|cc|cpp|hpp|cs|rb|php|swift|scala|sh|sql|lua|r|jl|pl|vue)\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A stretch of lines that belong together. ``heading`` is set when it begins a section."""

    start: int
    end: int
    heading: str | None = None
    is_code: bool = False


class ParagraphChunker:
    """See eudai_core.contracts.Chunker. Pure, linear in the length of the text."""

    def split(self, text: str, *, name: str, media_type: str) -> Iterator[Passage]:
        """Give the passages in order; ``text[p.start:p.end] == p.text`` for each."""
        is_code = bool(_CODE_NAME.search(name))
        number = 0
        for begin, stop, heading in _joined(text, _units(text, is_code)):
            part = text[begin:stop]
            start = begin + len(part) - len(part.lstrip())
            end = begin + len(part.rstrip())
            if start < end:
                yield Passage(number, start, end, text[start:end], heading)
                number += 1


def _units(text: str, is_code: bool) -> Iterator[_Unit]:
    """Cut a text into units: paragraphs, headings, fenced blocks, definitions."""
    begin = at = 0
    fence = ""
    heading: str | None = None
    for line in text.splitlines(keepends=True):
        start, at = at, at + len(line)
        mark = None if is_code else _FENCE.match(line)
        if fence:
            if mark and mark.group(1).startswith(fence):
                yield _Unit(begin, at, heading, is_code=True)
                begin, fence, heading = at, "", None
            continue
        title = _title(line, is_code)
        if mark or title is not None:
            if start > begin:
                yield _Unit(begin, start, heading, is_code)
            begin, heading = start, title
            fence = mark.group(1)[:3] if mark else ""
        elif not line.strip():
            yield _Unit(begin, at, heading, is_code)
            begin, heading = at, None
    if begin < len(text):
        yield _Unit(begin, len(text), heading, is_code or bool(fence))


def _title(line: str, is_code: bool) -> str | None:
    """Return the heading that a line is, or None."""
    match = (_DEFINITION if is_code else _HEADING).match(line)
    if match is None:
        return None
    return (match.group() if is_code else match.group(1)).strip(" #\t")[:200]


def _joined(text: str, units: Iterator[_Unit]) -> Iterator[tuple[int, int, str]]:
    """Join short units and cut long ones: ranges with the heading that holds at their start."""
    start = end = 0
    heading = current = ""
    for unit in units:
        if unit.heading is not None:
            current = unit.heading
        breaks = unit.heading is not None and _inked(text, start, end) >= _SHORT
        for piece_start, piece_end in _pieces(text, unit):
            most = _MOST if _inked(text, start, end) >= _SHORT else _MOST + _SHORT
            if end > start and (breaks or piece_end - start > most):
                yield start, end, heading
                start = piece_start
                heading = current
            elif not text[start:end].strip():
                heading = current
            end, breaks = piece_end, False
    if end > start:
        yield start, end, heading


def _inked(text: str, start: int, end: int) -> int:
    return len(text[start:end].strip())


def _pieces(text: str, unit: _Unit) -> Iterator[tuple[int, int]]:
    """Cut a unit into pieces that fit a passage: the whole unit, its sentences or lines, or what white space allows."""
    if unit.end - unit.start <= _MOST:
        yield unit.start, unit.end
        return
    at = unit.start
    for end in _ends(text, unit):
        yield from _hard(text, at, end)
        at = end
    if at < unit.end:
        yield from _hard(text, at, unit.end)


def _ends(text: str, unit: _Unit) -> Iterator[int]:
    """Give the places where a long unit may be cut."""
    part = text[unit.start : unit.end]
    if unit.is_code:
        for match in re.finditer(r"\n", part):
            yield unit.start + match.end()
    else:
        for _, end in sentences(part):
            yield unit.start + end


def _hard(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut what has no better place: behind the last white space that fits, else in mid-word."""
    while end - start > _MOST:
        window = text[start : start + _MOST]
        space = max(window.rfind(" "), window.rfind("\n"), window.rfind("\t"))
        cut = start + (space + 1 if space > _MOST // 2 else _MOST)
        yield start, cut
        start = cut
    yield start, end


def paragraph_chunker(context: PluginContext) -> ParagraphChunker:
    """Make the chunker."""
    return ParagraphChunker()
