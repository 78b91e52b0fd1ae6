"""Snippets: the stretch of a text that shows best why it was found."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from eudai_core.model import Highlight, Snippet
from eudai_core.text.terms import tokenise, unspaced, words

__all__ = ["snippet"]

_LENGTH: Final = 240
_SPACE: Final = re.compile(r"\s")
_MARGIN: Final = 30
"""How many code points are given up, at most, to begin and end a snippet between words."""


def snippet(text: str, terms: Collection[str], *, length: int = _LENGTH) -> Snippet:
    """Return up to ``length`` code points of ``text`` with as many different of ``terms`` as possible, highlighted.

    It begins and ends between words where there are any, and is the beginning of the text when nothing matches. What
    is highlighted are words, or in scripts without spaces the letters, that give one of the terms. Linear in the
    length of the text.
    """
    matches = list(_matches(text, frozenset(terms)))
    first, last = _best(matches, length)
    found = matches[first:last]
    start, end = _window(text, found, length)
    end = max(start, end)
    highlights = [
        Highlight(max(match.start, start) - start, min(match.end, end) - start)
        for match, _ in found
        if match.start < end and match.end > start
    ]
    return Snippet(text[start:end], tuple(highlights))


def _matches(text: str, terms: frozenset[str]) -> Iterator[tuple[Highlight, frozenset[str]]]:
    """Give the stretches of a text that give some of the terms, in order and apart, with these terms."""
    for start, end in words(text):
        word = text[start:end]
        found = terms.intersection(tokenise(word))
        if not found:
            continue
        if unspaced(word):
            yield from _joined(_letters(word, start, terms))
        else:
            yield Highlight(start, end), found


def _letters(word: str, start: int, terms: frozenset[str]) -> Iterator[tuple[Highlight, frozenset[str]]]:
    """Give the pairs of letters of a word in a script without spaces that are asked for."""
    for at in range(max(len(word) - 1, 1)):
        found = terms.intersection(tokenise(word[at : at + 2]))
        if found:
            yield Highlight(start + at, start + min(at + 2, len(word))), found


def _joined(
    pairs: Iterator[tuple[Highlight, frozenset[str]]],
) -> Iterator[tuple[Highlight, frozenset[str]]]:
    last: tuple[Highlight, frozenset[str]] | None = None
    for match, found in pairs:
        if last is not None and match.start <= last[0].end:
            last = Highlight(last[0].start, match.end), last[1] | found
            continue
        if last is not None:
            yield last
        last = match, found
    if last is not None:
        yield last


def _best(matches: Sequence[tuple[Highlight, frozenset[str]]], length: int) -> tuple[int, int]:
    """Return the run of matches within ``length`` that has the most different terms, then the most, then the first."""
    counts: dict[str, int] = {}
    best, chosen, first = (0, 0), (0, 0), 0
    for last, (match, found) in enumerate(matches):
        for term in found:
            counts[term] = counts.get(term, 0) + 1
        while first < last and match.end - matches[first][0].start > length:
            for term in matches[first][1]:
                counts[term] -= 1
                if not counts[term]:
                    del counts[term]
            first += 1
        value = (len(counts), last - first + 1)
        if value > best:
            best, chosen = value, (first, last + 1)
    return chosen


def _window(text: str, found: Sequence[tuple[Highlight, frozenset[str]]], length: int) -> tuple[int, int]:
    """Return where a snippet around some matches begins and ends."""
    begin, stop = (found[0][0].start, found[-1][0].end) if found else (0, 0)
    room = max(length - (stop - begin), 0)
    start = max(0, min(begin - room // 2, len(text) - length))
    end = min(start + length, len(text))
    if start > 0 and not _SPACE.match(text[start - 1]):
        space = _SPACE.search(text, start, min(begin, start + _MARGIN))
        start = space.end() if space else start
    if end < len(text) and not _SPACE.match(text[end]):
        last = max(stop, end - _MARGIN, start)
        end = next((at for at in range(end - 1, last - 1, -1) if _SPACE.match(text[at])), end)
    shown = text[start:end]
    return start + len(shown) - len(shown.lstrip()), end - len(shown) + len(shown.rstrip())
