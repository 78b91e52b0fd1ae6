"""Finding the sentences of a prompt's material that best match a question."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eudai_core.model import Segment, SegmentKind
from eudai_core.text import content_terms, query_terms, sentences, tokenise

__all__ = ["MOST_QUOTATIONS", "Quotation", "best_quotations"]

MOST_QUOTATIONS: Final = 4

_QUOTED_KINDS: Final = frozenset(
    {
        SegmentKind.INSTRUCTION,
        SegmentKind.OUTLINE,
        SegmentKind.FILE,
        SegmentKind.PAGE,
        SegmentKind.SUMMARY,
        SegmentKind.TOOL,
    }
)
_K1: Final = 1.2
_B: Final = 0.75
_NEIGHBOUR: Final = 0.3
"""How much the sentences beside one lend it: an answer often stands beside the words of the question."""
_HEADING: Final = 1.5
"""A heading with the words of the question says what the text under it, which is quoted with it, is about."""
_TABLE_ROW: Final = 0.4
"""A row of a table says little without the others."""
_COVERED: Final = 0.6
"""How much of a score hangs on how many of the question's words a sentence has, and not on one of them alone."""
_KEPT: Final = 0.45
"""Quotations below this part of the best score are no help."""
_SHORT: Final = 60
_LONG: Final = 480
"""Characters: a shorter sentence takes the next one along, a quotation grows no longer than this."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """A stretch of a segment's text, with the id to cite and the name of its source."""

    text: str
    id: str
    name: str
    score: float


@dataclass(slots=True)
class _Sentence:
    segment: int
    start: int
    end: int
    terms: Counter[str]
    shape: float
    score: float = 0.0


def best_quotations(
    segments: Sequence[Segment], question: str, earlier_questions: Sequence[str] = (), last_answer: str = ""
) -> list[Quotation]:
    """Return the quotations that match best, best first; none when no word that matters is found.

    Sentences are scored by BM25 (k1 1.2, b 0.75) over the sentences of all segments, for the weighted terms of the
    question and of the conversation before it.
    """
    units = list(_split(segments))
    weights = query_terms(question, earlier_questions, last_answer)
    # Function words are too few among so little text for their frequency to tell them apart.
    content = content_terms(" ".join([question, *earlier_questions, last_answer]))
    _score(units, {term: weight for term, weight in weights.items() if term in content})
    chosen = sorted((unit for unit in units if unit.score > 0), key=lambda unit: -unit.score)
    if not chosen:
        return []
    least = chosen[0].score * _KEPT
    return _distinct(segments, units, [unit for unit in chosen if unit.score >= least])


def _split(segments: Sequence[Segment]) -> Iterator[_Sentence]:
    seen: set[str] = set()
    for place, segment in enumerate(segments):
        if segment.kind not in _QUOTED_KINDS or segment.text in seen:
            continue
        seen.add(segment.text)
        for start, end in sentences(segment.text):
            sentence = segment.text[start:end]
            terms = Counter(tokenise(sentence))
            if terms:
                yield _Sentence(place, start, end, terms, _shape(sentence))


def _shape(sentence: str) -> float:
    """Return how well a stretch of text reads by itself, as a factor."""
    line = sentence.lstrip()
    if line.startswith("#"):
        return _HEADING
    return _TABLE_ROW if line.startswith("|") else 1.0


def _score(units: Sequence[_Sentence], weights: Mapping[str, float]) -> None:
    frequency: Counter[str] = Counter()
    for unit in units:
        frequency.update(unit.terms.keys() & weights.keys())
    mean = sum(unit.terms.total() for unit in units) / max(1, len(units))
    idf = {term: math.log(1 + (len(units) - n + 0.5) / (n + 0.5)) for term, n in frequency.items()}
    own = [_bm25(unit, weights, idf, mean) for unit in units]
    for at, unit in enumerate(units):
        beside = [own[n] for n in (at - 1, at + 1) if 0 <= n < len(units) and units[n].segment == unit.segment]
        unit.score = own[at] + _NEIGHBOUR * max(beside, default=0.0) if own[at] else 0.0


def _bm25(unit: _Sentence, weights: Mapping[str, float], idf: Mapping[str, float], mean: float) -> float:
    length = _K1 * (1 - _B + _B * unit.terms.total() / mean)
    found = sorted(unit.terms.keys() & idf.keys())
    score = sum(
        weights[term] * idf[term] * unit.terms[term] * (_K1 + 1) / (unit.terms[term] + length) for term in found
    )
    whole = sum(weights[term] * idf[term] for term in sorted(idf))
    covered = sum(weights[term] * idf[term] for term in found) / whole if whole else 0.0
    return score * unit.shape * (1 - _COVERED + _COVERED * covered)


def _distinct(segments: Sequence[Segment], units: Sequence[_Sentence], chosen: Sequence[_Sentence]) -> list[Quotation]:
    """Turn the best sentences into quotations that do not overlap."""
    found: list[Quotation] = []
    taken: set[int] = set()
    places = {id(unit): at for at, unit in enumerate(units)}
    for unit in chosen:
        at = places[id(unit)]
        if at in taken:
            continue
        segment = segments[unit.segment]
        last = _last(units, at, taken)
        taken.update(range(at, last + 1))
        text = segment.text[unit.start : units[last].end].strip()
        found.append(Quotation(text, segment.id, segment.origin.name, unit.score))
        if len(found) == MOST_QUOTATIONS:
            break
    return found


def _last(units: Sequence[_Sentence], at: int, taken: set[int]) -> int:
    """Return the index of the last sentence of a quotation: a short one, such as a heading, takes the next along."""
    last = at
    while (
        last + 1 < len(units)
        and units[last + 1].segment == units[at].segment
        and last + 1 not in taken
        and units[last].end - units[at].start < _SHORT
        and units[last + 1].end - units[at].start <= _LONG
    ):
        last += 1
    return last
