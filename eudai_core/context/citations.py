"""Citation marks in answers: which passage each names, and whether the passage says so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

from eudai_core.model import Citation, Segment
from eudai_core.text import content_terms, sentences

__all__ = ["PARAPHRASE_SHARE", "check_citations"]

PARAPHRASE_SHARE: Final = 0.6
"""The share of a sentence's content terms that must stand in the passage."""

_MARK: Final = re.compile(r"\[((?:[A-Za-z0-9][\w.:-]{0,63})(?:\s*[,;]\s*[A-Za-z0-9][\w.:-]{0,63})*)\](?!\()")
_ID: Final = re.compile(r"[A-Za-z0-9][\w.:-]*")
_LOOKS_LIKE_ID: Final = re.compile(r"[a-z][0-9a-f]{6,8}(?:v\d+)?(?::\d+(?:-\d+)?)?\Z")
_QUOTED: Final = re.compile(r"[\"“„«]([^\"“”„«»]{8,})[\"”“»]")
_QUOTED_ALL: Final = re.compile(r"[\"“„«](.{8,})[\"”“»]")
_DECORATION: Final = " \t\n>*_-–—\"'“”„«»‘’.,;:!?…()"

Mark = tuple[str, int, int]
"""An id, and the code points of the bracket that it stands in."""


def check_citations(answer: str, segments: Sequence[Segment]) -> tuple[Citation, ...]:
    """Find and check the citations of an answer, in their order.

    A mark is ``[id]`` or ``[id, id]`` with ids of ``segments``, or what looks like one. ``quote`` is the sentence in
    front of it. The verdict is ``verified`` when that sentence, or what it puts in quotation marks, stands in the
    passage, white space and case aside; ``paraphrase`` when at least 60 % of its content terms do; else ``not_found``.
    An unknown id has no segment and is ``not_found``. Linear in the length of the answer and of the passages cited.
    """
    places: dict[str, int] = {}
    for index, segment in enumerate(segments):
        if segment.id:
            places.setdefault(segment.id, index)
    marks = list(_marks(answer, places))
    sources: dict[int, _Source] = {}
    found: list[Citation] = []
    for (mark_id, start, end), quote in zip(marks, _quotes(answer, marks), strict=True):
        place = _place(mark_id, places)
        if place is not None and place not in sources:
            sources[place] = _Source(segments[place].text)
        verdict = "not_found" if place is None else _verdict(quote, sources[place])
        found.append(Citation(mark_id, place, start, end, quote, verdict))
    return tuple(found)


def _quotes(answer: str, marks: Sequence[Mark]) -> Iterator[str]:
    """Give for each mark the sentence in front of it, from the mark before when the two share a sentence."""
    blank = _without(answer, marks)
    ranges = list(sentences(blank))
    at = 0
    last_end = 0
    quote = ""
    for place, (_, start, end) in enumerate(marks):
        if place and start == marks[place - 1][1]:
            yield quote  # another id in the same bracket
            continue
        while at + 1 < len(ranges) and ranges[at + 1][0] < start:
            at += 1
        begin = ranges[at][0] if ranges else start
        quote = blank[begin : min(ranges[at][1], start)].strip() if begin < start else ""
        since = blank[max(begin, last_end) : start].strip(_DECORATION)
        if since and last_end > begin:
            quote = since
        yield quote
        last_end = end


def _marks(answer: str, places: dict[str, int]) -> Iterator[Mark]:
    for match in _MARK.finditer(answer):
        ids = _ID.findall(match.group(1))
        if any(one in places or _LOOKS_LIKE_ID.match(one) for one in ids):
            for one in ids:
                yield one, match.start(), match.end()


def _without(answer: str, marks: Sequence[Mark]) -> str:
    """Return the answer with its marks blanked, so that places stay what they are."""
    parts: list[str] = []
    at = 0
    for _, start, end in marks:
        if start >= at:
            parts += [answer[at:start], " " * (end - start)]
            at = end
    return "".join(parts) + answer[at:]


def _place(mark_id: str, places: dict[str, int]) -> int | None:
    """Return the index of the segment meant; a passage of a file that was sent whole means the file."""
    return places.get(mark_id, places.get(mark_id.partition(":")[0]))


class _Source:
    """A cited text, folded and cut into terms once for all its citations."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.folded = _fold(text)

    @cached_property
    def terms(self) -> frozenset[str]:
        """The different terms of the text that carry meaning."""
        return content_terms(self.text)


def _verdict(quote: str, source: _Source) -> str:
    wanted = _fold(quote).strip(_DECORATION)
    terms = content_terms(wanted)
    if not terms:
        return "not_found"
    if wanted in source.folded:
        return "verified"
    # A quotation may hold quotation marks of its own: it is taken as one, then as several.
    for pattern in (_QUOTED_ALL, _QUOTED):
        quoted = [part.strip(_DECORATION) for part in pattern.findall(_fold(quote))]
        if quoted and all(part and part in source.folded for part in quoted):
            return "verified"
    return "paraphrase" if len(terms & source.terms) >= PARAPHRASE_SHARE * len(terms) else "not_found"


def _fold(text: str) -> str:
    """Return the text without case, with white space folded, and without the zero-width spaces of specials.py."""
    return " ".join(text.replace("\u200b", "").casefold().split())
