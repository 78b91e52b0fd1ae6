"""What is offered, put in order: duplicates out, places fixed, this turn's evidence chosen beside the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from eudai_core.context.pieces import EVIDENCE
from eudai_core.model import Segment, SegmentKind, Stability

__all__ = ["Choice", "choose", "prompt_order", "without_duplicates"]

_KINDS: Final = {kind: place for place, kind in enumerate(SegmentKind)}

_LEAST_SHARE: Final = 1200
"""Tokens of evidence that a turn may bring even when a quarter of the evidence's share is less."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a turn may bring into the prompt, best first, and what it may not, each with its reason."""

    wanted: tuple[Segment, ...]
    dropped: tuple[Segment, ...]


def without_duplicates(segments: Iterable[Segment]) -> Choice:
    """Keep the first segment of each id, and of each text among files and pages: no text stands twice."""
    ids: set[str] = set()
    texts: dict[str, str] = {}
    wanted: list[Segment] = []
    dropped: list[Segment] = []
    for segment in segments:
        if segment.id and segment.id in ids:
            dropped.append(replace(segment, reason="offered twice"))
        elif segment.kind in EVIDENCE and segment.text in texts:
            dropped.append(replace(segment, reason=f"same text as {texts[segment.text]}"))
        else:
            wanted.append(segment)
            ids.add(segment.id)
            if segment.kind in EVIDENCE:
                texts[segment.text] = segment.id or segment.origin.name
    return Choice(tuple(wanted), tuple(dropped))


def turn_share(evidence: int) -> int:
    """Return how many tokens of evidence one turn may bring, of what the whole conversation may hold."""
    return max(evidence // 4, min(evidence, _LEAST_SHARE))


def choose(segments: Sequence[Segment], *, placed: frozenset[str], room: int) -> Choice:
    """Walk the ranked segments and take this turn's evidence.

    A passage that the conversation holds already costs nothing, is not placed again, and uses up the turn's ``room``
    all the same: what it would have said is there, and worse passages are no gain.
    """
    wanted: list[Segment] = []
    dropped: list[Segment] = []
    for segment in segments:
        if segment.kind not in EVIDENCE or segment.stability is Stability.STATIC or segment.required:
            wanted.append(segment)
        elif segment.id and segment.id in placed:
            room -= segment.tokens
            dropped.append(replace(segment, reason="stands in an earlier turn"))
        elif segment.tokens <= room:
            room -= segment.tokens
            wanted.append(segment)
        else:
            dropped.append(replace(segment, reason="beyond the evidence of one turn"))
    return Choice(tuple(wanted), tuple(dropped))


def prompt_order(segments: Iterable[Segment]) -> list[Segment]:
    """Put segments where they stand in a prompt: by kind, then ``order``, then plugin and id."""
    return sorted(segments, key=_place)


def _place(segment: Segment) -> tuple[object, ...]:
    order = tuple((0, part, "") if isinstance(part, int) else (1, 0, part) for part in segment.order)
    return _KINDS[segment.kind], order, segment.plugin, segment.origin.id, segment.origin.start or 0, segment.id
