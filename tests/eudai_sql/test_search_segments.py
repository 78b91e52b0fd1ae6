"""Posting lists as bytes, and the arithmetic over them, without a database."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eudai_sql.packing import pack, pack_rising, unpack, unpack_rising, width_code
from eudai_sql.scoring import Part, score
from eudai_sql.segments import Parts, Segment, build, find_lists, merge, page_of

numbers = st.lists(st.integers(0, (1 << 64) - 1), max_size=50)
words = st.text("abcdeé水\ud800", min_size=1, max_size=4)
passages = st.lists(st.dictionaries(words, st.integers(1, 70_000), max_size=8), max_size=12)


@given(numbers)
def test_packed_numbers_come_back(values: list[int]) -> None:
    code = width_code(max(values, default=0))
    assert list(unpack(pack(values, code), code)) == values
    rising = sorted(set(values))
    assert unpack_rising(pack_rising(rising)) == rising


@pytest.mark.parametrize("most", [0, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32])
def test_numbers_take_no_more_bytes_than_the_largest_needs(most: int) -> None:
    assert len(pack([most], width_code(most))) == next(size for size in (1, 2, 4, 8) if most < 1 << (8 * size))


def everything(segment: Segment, terms: Sequence[str]) -> list[Counter[str]]:
    """Return the passages that a segment was made of, as far as these terms go."""
    found = [Counter[str]() for _ in segment.lengths]
    for term in terms:
        encoded = term.encode(errors="surrogatepass")
        page = segment.pages[page_of(encoded, len(segment.pages))]
        for _, postings in find_lists(page, [encoded, b"absent"]):
            for index, place in enumerate(postings.places):
                found[place][term] = postings.frequencies[index] if postings.frequencies else 1
    return found


@given(passages)
def test_a_segment_holds_what_it_was_made_of(counts: list[dict[str, int]]) -> None:
    terms = sorted({term for passage in counts for term in passage})
    segment = build(counts)
    assert everything(segment, terms) == counts
    assert list(segment.lengths) == [sum(passage.values()) for passage in counts]


def stored(keys: Sequence[int], counts: Sequence[Mapping[str, int]]) -> Parts:
    segment = build(counts)
    return Parts(keys, segment.lengths, segment.pages)


@given(st.lists(passages.filter(len), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_merged_segments_are_as_one_made_at_once(parts: list[list[dict[str, int]]], chance: random.Random) -> None:
    """Whatever was removed, and also when the keys of the parts interleave."""
    keys = chance.sample(range(1000), sum(map(len, parts)))
    placed = [sorted(keys.pop() for _ in part) for part in parts]
    pairs = sorted(pair for own, part in zip(placed, parts, strict=True) for pair in zip(own, part, strict=True))
    removed = {key for key, _ in pairs if chance.random() < 0.3}
    left = [(key, counts) for key, counts in pairs if key not in removed]
    merged_keys, segment = merge([stored(own, part) for own, part in zip(placed, parts, strict=True)], removed)
    terms = sorted({term for _, counts in left for term in counts})
    assert merged_keys == [key for key, _ in left]
    assert list(segment.lengths) == [sum(counts.values()) for _, counts in left]
    assert everything(segment, terms) == [counts for _, counts in left]


def part(counts: Sequence[Mapping[str, int]], terms: Sequence[str], removed: frozenset[int] = frozenset()) -> Part:
    segment = build(counts)
    lists = {
        term: postings
        for term in terms
        for _, postings in find_lists(segment.pages[page_of(term.encode(), len(segment.pages))], [term.encode()])
    }
    return Part(segment.lengths, removed, lists)


@pytest.mark.parametrize("seed", range(12))
def test_leaving_common_terms_out_changes_nothing(seed: int) -> None:
    """The best ten of many passages are those of scoring all of them, ties with the last included."""
    chance = random.Random(seed)
    vocabulary = [f"w{rank}" for rank in range(40)]
    weights = [1 / (rank + 1) ** 1.2 for rank in range(40)]
    counts = [Counter(chance.choices(vocabulary, weights, k=chance.randint(1, 40))) for _ in range(4000)]
    removed = frozenset(chance.sample(range(1000), 50))
    terms = chance.choices(vocabulary[:8], k=3) + chance.choices(vocabulary, k=2)
    parts = [part(counts[start : start + 1000], terms, removed) for start in range(0, 4000, 1000)]
    asked = dict.fromkeys(terms, 1.0)
    every = {(one.part, one.place): one.score for one in score(parts, asked, 10_000)}
    least = sorted(every.values(), reverse=True)[9]
    best = {(one.part, one.place): one.score for one in score(parts, asked, 10)}
    assert best == {key: points for key, points in every.items() if points >= least}
    assert not any(place in removed for _, place in best)


def test_nothing_is_found_among_nothing() -> None:
    assert score([], {"a": 1.0}, 5) == []
    assert score([part([{"a": 1}], ["b"])], {"b": 1.0}, 5) == []
    assert score([part([{"a": 1}], ["a"], frozenset({0}))], {"a": 1.0}, 5) == []
