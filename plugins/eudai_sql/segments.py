"""Segments of the search index: what is stored of the postings of some passages.

A passage is known in its segment by its place, from 0 on. A posting list holds the places of the passages with a term
as differences, and how often it stands in each, which is left out when that is once everywhere:

    list   1 byte: width of the differences | width of the frequencies, plus 1, or 0 without | differences | frequencies
    page   1 byte: width of the sizes | 4 bytes: length of the terms | terms, parted by line feeds | sizes | lists

A term's page is found by a checksum of it, so no directory has to be read or kept. Pages are of some two thousand
bytes, which PostgreSQL and SQLite both keep beside the row's key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate, repeat
from operator import sub
from typing import Final
from zlib import crc32

from eudai_sql.packing import WIDTHS, pack, unpack, width_code

__all__ = ["Parts", "PostingList", "Segment", "build", "find_lists", "merge", "page_of"]

_PAGE_BYTES: Final = 1500
"""What pages hold on average; they are of different sizes, and most are to stay under 2,000."""
_HEAD: Final = 5


class PostingList:
    """A packed list, unpacked when it is looked at: many are only counted."""

    __slots__ = ("_data", "_often", "_places", "_wide", "count")

    def __init__(self, data: bytes) -> None:
        """Keep what :func:`_write_list` made."""
        self._data = data
        self._wide, self._often = data[0] & 3, data[0] >> 2
        self._places: list[int] | None = None
        self.count = (len(data) - 1) // (WIDTHS[self._wide] + (WIDTHS[self._often - 1] if self._often else 0))

    @property
    def places(self) -> list[int]:
        """The places of passages, rising."""
        if self._places is None:
            self._places = list(accumulate(unpack(self._data, self._wide, 1, self.count)))
        return self._places

    @property
    def frequencies(self) -> Sequence[int] | None:
        """How often the term stands in each; None is once in all."""
        if not self._often:
            return None
        return unpack(self._data, self._often - 1, 1 + self.count * WIDTHS[self._wide])


@dataclass(frozen=True, slots=True)
class Segment:
    """Postings, ready to be stored. ``lengths`` are the numbers of terms of its passages."""

    lengths: Sequence[int]
    pages: Sequence[bytes]

    @property
    def size(self) -> int:
        """Bytes of the postings."""
        return sum(map(len, self.pages))


@dataclass(frozen=True, slots=True)
class Parts:
    """A stored segment, as merging needs it."""

    keys: Sequence[int]
    lengths: Sequence[int]
    pages: Sequence[bytes]


def page_of(term: bytes, pages: int) -> int:
    """Return the number of the page that a term is on."""
    return crc32(term) % pages


def build(passages: Sequence[Mapping[str, int]]) -> Segment:
    """Make a segment of passages, each given by how often its terms stand in it."""
    lists: dict[str, tuple[list[int], list[int]]] = {}
    for place, counts in enumerate(passages):
        for term, frequency in counts.items():
            found = lists.get(term)
            if found is None:
                lists[term] = ([place], [frequency])
            else:
                found[0].append(place)
                found[1].append(frequency)
    encoded = (
        (term.encode(errors="surrogatepass"), places, frequencies) for term, (places, frequencies) in lists.items()
    )
    return Segment([sum(counts.values()) for counts in passages], _pages(encoded))


def merge(parts: Sequence[Parts], removed: AbstractSet[int]) -> tuple[list[int], Segment]:
    """Make one segment of several, without the passages whose keys are ``removed``; return its keys too."""
    keys: list[int] = []
    lengths: list[int] = []
    lists: dict[bytes, tuple[list[int], list[int]]] = {}
    for part in parts:
        kept = [place for place, key in enumerate(part.keys) if key not in removed]
        moved = None if len(kept) == len(part.keys) else {old: len(keys) + new for new, old in enumerate(kept)}
        for term, found in _all_lists(part.pages):
            places, frequencies = lists.setdefault(term, ([], []))
            _append(places, frequencies, found, len(keys), moved)
        keys += [part.keys[place] for place in kept]
        lengths += [part.lengths[place] for place in kept]
    # Parts may overlap when several processes stored at once: keys must rise.
    if any(step <= 0 for step in map(sub, keys[1:], keys)):
        keys, lengths, lists = _sorted(keys, lengths, lists)
    return keys, Segment(lengths, _pages((term, *both) for term, both in lists.items() if both[0]))


def find_lists(page: bytes, terms: Iterable[bytes]) -> Iterator[tuple[bytes, PostingList]]:
    """Give the lists of those of ``terms`` that are on a page."""
    there, sizes, at = _contents(page)
    for term in terms:
        if term in there:
            index = there.index(term)
            start = at + sum(sizes[:index])
            yield term, PostingList(page[start : start + sizes[index]])


def _append(
    places: list[int], frequencies: list[int], found: PostingList, first: int, moved: Mapping[int, int] | None
) -> None:
    if moved is None:
        places += [place + first for place in found.places]
        frequencies += found.frequencies or repeat(1, found.count)
        return
    for place, frequency in zip(found.places, found.frequencies or repeat(1), strict=False):
        if place in moved:
            places.append(moved[place])
            frequencies.append(frequency)


def _sorted(
    keys: list[int], lengths: list[int], lists: Mapping[bytes, tuple[list[int], list[int]]]
) -> tuple[list[int], list[int], dict[bytes, tuple[list[int], list[int]]]]:
    order = sorted(range(len(keys)), key=keys.__getitem__)
    moved = {old: new for new, old in enumerate(order)}
    ordered: dict[bytes, tuple[list[int], list[int]]] = {}
    for term, (places, frequencies) in lists.items():
        pairs = sorted(zip([moved[place] for place in places], frequencies, strict=True))
        ordered[term] = ([place for place, _ in pairs], [frequency for _, frequency in pairs])
    return [keys[place] for place in order], [lengths[place] for place in order], ordered


def _pages(lists: Iterable[tuple[bytes, Sequence[int], Sequence[int]]]) -> list[bytes]:
    packed = [(term, _write_list(places, frequencies)) for term, places, frequencies in lists]
    total = sum(len(term) + len(data) + 2 for term, data in packed)
    count = max(1, -(-total // _PAGE_BYTES))
    buckets: list[list[tuple[bytes, bytes]]] = [[] for _ in range(count)]
    for entry in packed:
        buckets[page_of(entry[0], count)].append(entry)
    return [_page(bucket) for bucket in buckets]


def _page(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    terms = b"\n".join(term for term, _ in entries)
    sizes = [len(data) for _, data in entries]
    code = width_code(max(sizes, default=0))
    head = bytes((code,)) + len(terms).to_bytes(4, "little")
    return b"".join((head, terms, pack(sizes, code), *(data for _, data in entries)))


def _contents(page: bytes) -> tuple[list[bytes], Sequence[int], int]:
    """Return a page's terms, the sizes of their lists, and where the first list begins."""
    code, end = page[0], _HEAD + int.from_bytes(page[1:_HEAD], "little")
    terms = page[_HEAD:end].split(b"\n") if end > _HEAD else []
    return terms, unpack(page, code, end, len(terms)), end + len(terms) * WIDTHS[code]


def _all_lists(pages: Iterable[bytes]) -> Iterator[tuple[bytes, PostingList]]:
    for page in pages:
        terms, sizes, at = _contents(page)
        for term, start, size in zip(terms, accumulate(sizes, initial=at), sizes, strict=False):
            yield term, PostingList(page[start : start + size])


def _write_list(places: Sequence[int], frequencies: Sequence[int]) -> bytes:
    steps = [places[0], *map(sub, places[1:], places)]
    most = max(frequencies)
    wide, often = width_code(max(steps)), 0 if most == 1 else width_code(most) + 1
    head = bytes((wide | often << 2,))
    return head + pack(steps, wide) + (pack(frequencies, often - 1) if often else b"")
