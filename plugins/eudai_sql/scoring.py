"""BM25 over posting lists, the same to the last digit wherever it runs.

Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) with k1 1.2 and b 0.75, and the
inverse document frequency that is never negative, ln(1 + (N - n + 0.5) / (n + 0.5)), over the passages searched.
Each term's part of a score is rounded to millionths and added up as an integer, so that no order of adding, and no
way in which passages are spread over segments, changes a score.

Common terms, whose lists are long, add little to a score. So the terms that can add most come first, and as soon as
all that are left cannot bring a new passage among the best, they are looked up only for those that still may be among
them (MaxScore: Turtle and Flood, "Query Evaluation: Strategies and Optimizations", 1995). That loses nothing: the best
passages and their scores are those of the full formula.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Final, NamedTuple

from eudai_sql.segments import PostingList

__all__ = ["UNIT", "Part", "Scored", "score"]

UNIT: Final = 1_000_000
"""Scores are counted in such parts."""
_K1: Final = 1.2
_B: Final = 0.75
_FEW: Final = 1000
"""Postings that are added sooner than it is worked out whether they can be left out."""

Scores = list[dict[int, int]]
"""By part, what the passages at some places have so far."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is searched of a segment: its passages' lengths, the places that do not count, and lists by term."""

    lengths: Sequence[int]
    removed: frozenset[int] = frozenset()
    lists: dict[str, PostingList] = field(default_factory=dict)

    def has(self, term: str, place: int) -> bool:
        """Tell whether a passage has a term."""
        found = self.lists.get(term)
        return found is not None and _index(found.places, place) is not None


class Scored(NamedTuple):
    """A passage, by its part and its place there, with its score in millionths."""

    score: int
    part: int
    place: int


def score(parts: Sequence[Part], weights: Mapping[str, float], limit: int) -> list[Scored]:
    """Return the best ``limit`` passages for weighted terms and, with them, all that equal the last; unordered."""
    terms = _terms(parts, weights)
    # What the terms from each one on can add together.
    rest = list(accumulate((term.most for term in reversed(terms)), initial=0))[::-1]
    scores: Scores = [{} for _ in parts]
    at = least = 0
    while at < len(terms) and least <= rest[at]:
        _add(parts, scores, terms[at])
        at += 1
        if sum(term.holders for term in terms[at:]) > _FEW:
            least = _least(scores, limit)
    for left in range(at, len(terms)):
        scores = _promising(scores, least - rest[left])
        _add_to(parts, scores, terms[left])
        least = max(least, _least(scores, limit))
    least = max(_least(scores, limit), 1)
    return [
        Scored(points, index, place)
        for index, found in enumerate(scores)
        for place, points in found.items()
        if points >= least
    ]


class _Term:
    """A term that is asked for: its lists by part, and what it adds to the score of a passage.

    That depends on its frequency there and on the passage's length. Few pairs of them occur, so each is worked out
    once, and what is looked up is looked up in C.
    """

    def __init__(
        self, lists: Sequence[tuple[int, PostingList]], holders: int, weight: float, slope: float, shortest: int
    ) -> None:
        self.lists = lists
        self.holders = holders
        self._weight = weight
        self._slope = slope
        self._tables: dict[int, _Table] = {}
        self.most = self._table(max(max(found.frequencies or (1,)) for _, found in lists))[shortest]
        """What it adds to none more than."""

    def shares(self, found: PostingList, lengths: Sequence[int]) -> Iterable[int]:
        """Give what it adds to each passage of a list."""
        of_places = map(lengths.__getitem__, found.places)
        frequencies = found.frequencies
        if frequencies is None:
            return map(self._table(1).__getitem__, of_places)
        tables = {frequency: self._table(frequency) for frequency in set(frequencies)}
        return [tables[frequency][length] for frequency, length in zip(frequencies, of_places, strict=True)]

    def share(self, found: PostingList, index: int, lengths: Sequence[int]) -> int:
        """Return what it adds to one passage of a list."""
        frequencies = found.frequencies
        return self._table(1 if frequencies is None else frequencies[index])[lengths[found.places[index]]]

    def _table(self, frequency: int) -> _Table:
        if frequency not in self._tables:
            numerator, base, slope = UNIT * self._weight * frequency, frequency + _K1 * (1 - _B), self._slope
            self._tables[frequency] = _Table(lambda length: int(numerator / (base + slope * length) + 0.5))
        return self._tables[frequency]


class _Table(dict[int, int]):
    """A function's values, kept."""

    def __init__(self, function: Callable[[int], int]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: int) -> int:
        value = self[key] = self._function(key)
        return value


def _terms(parts: Sequence[Part], weights: Mapping[str, float]) -> list[_Term]:
    """Return the terms that are there, those first that can add most."""
    passages = sum(len(part.lengths) - len(part.removed) for part in parts)
    total = sum(sum(part.lengths) - sum(map(part.lengths.__getitem__, part.removed)) for part in parts)
    slope = _K1 * _B * passages / max(total, 1)
    shortest = min((min(part.lengths) for part in parts), default=0)
    terms: list[_Term] = []
    for term, weight in weights.items():
        lists = [(index, part.lists[term]) for index, part in enumerate(parts) if term in part.lists]
        holders = sum(_count(found, parts[index].removed) for index, found in lists)
        if holders:
            factor = weight * _idf(passages, holders) * (_K1 + 1)
            terms.append(_Term(lists, holders, factor, slope, shortest))
    return sorted(terms, key=lambda term: -term.most)


def _add(parts: Sequence[Part], scores: Scores, term: _Term) -> None:
    """Add a term to every passage that has it."""
    for part, found in term.lists:
        into, shares = scores[part], term.shares(found, parts[part].lengths)
        if into:
            before = into.get
            for place, share in zip(found.places, shares, strict=True):
                into[place] = before(place, 0) + share
        else:
            into.update(zip(found.places, shares, strict=True))
        for place in parts[part].removed:
            into.pop(place, None)


def _add_to(parts: Sequence[Part], scores: Scores, term: _Term) -> None:
    """Add a term to the passages that are there already."""
    for part, found in term.lists:
        into, lengths = scores[part], parts[part].lengths
        if len(into) * 8 < found.count:
            for place in into:
                index = _index(found.places, place)
                if index is not None:
                    into[place] += term.share(found, index, lengths)
        else:
            for place, share in zip(found.places, term.shares(found, lengths), strict=True):
                if place in into:
                    into[place] += share


def _promising(scores: Scores, least: int) -> Scores:
    """Return the passages that have ``least`` or more."""
    return [{place: points for place, points in found.items() if points >= least} for found in scores]


def _least(scores: Scores, limit: int) -> int:
    """Return the score of the last of the best ``limit`` passages, or 0 when there are fewer."""
    best = heapq.nlargest(limit, chain.from_iterable(found.values() for found in scores))
    return best[-1] if len(best) == limit else 0


def _index(places: Sequence[int], place: int) -> int | None:
    at = bisect_left(places, place)
    return at if at < len(places) and places[at] == place else None


def _count(found: PostingList, removed: frozenset[int]) -> int:
    return found.count - (len(removed.intersection(found.places)) if removed else 0)


def _idf(passages: int, holders: int) -> float:
    return math.log(1 + (passages - holders + 0.5) / (holders + 0.5))
