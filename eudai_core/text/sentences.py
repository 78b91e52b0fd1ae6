"""Where sentences begin and end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["sentences"]

# A block ends at an empty line, and a line that is a heading, a list item, a table row or a fence stands by itself.
_BLOCK_END: Final = re.compile(r"\n[ \t]*(?=\n)|\n(?=[ \t]*(?:#{1,6} |[-*+•] |\d{1,3}[.)] |\||```|~~~|>))")
_HEADING: Final = re.compile(r"[ \t]*(?:#{1,6} [^\n]*|```[^\n]*|~~~[^\n]*)(?:\n|\Z)")
_STOP: Final = re.compile(
    r"[.!?…]+[\"'”’»)\]]*(?=\s|\Z)"  # a stop counts when white space follows: 3.14 and example.com do not end anything
    r"|[。！？｡]+[」』”’）】》]*|[।॥։؟۔]+(?=\s|\Z)"
)
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|al|etc|vs|approx|ca|resp|viz|Dr|Mr|Mrs|Ms|Prof|St|Jr|Sr|Fig|Figs|Eq|Eqs|No|Nos|Vol|pp?|ed"
    r"|eds|Inc|Ltd|Co|Sec|Ch|z\.B|d\.h|bzw|usw|Nr|M|Mme)|\b[A-Z])\.\Z"
)
_LOWER_NEXT: Final = re.compile(r"\s+[a-z]")


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Give the ranges of the sentences of ``text`` in order, without the white space around them.

    A range is ``(start, end)`` in code points. Every character that is not white space lies in exactly one range.
    Rules only: a stop followed by white space (or a full-width stop), no known abbreviation, no lower-case letter
    next; blocks of lines end at empty lines, headings and list items.
    """
    for start, end in _blocks(text):
        yield from _in_block(text, start, end)


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _BLOCK_END.finditer(text):
        yield from _without_heading(text, start, match.start())
        start = match.start()
    yield from _without_heading(text, start, len(text))


def _without_heading(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start] == "\n":
        start += 1
    heading = _HEADING.match(text, start, end)
    if heading:
        yield start, heading.end()
        start = heading.end()
    if start < end:
        yield start, end


def _in_block(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = start
    for match in _STOP.finditer(text, start, end):
        stop = match.end()
        if match.group()[-1] == "." and (
            _ABBREVIATION.search(text, max(begin, stop - 12), stop) or _LOWER_NEXT.match(text, stop, end)
        ):
            continue
        yield from _trimmed(text, begin, stop)
        begin = stop
    yield from _trimmed(text, begin, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
