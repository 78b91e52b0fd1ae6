"""What supplies, cuts, ranks, counts and chooses the parts of a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from eudai_core.model import Budget, ContextQuery, Passage, Segment

__all__ = ["Chunker", "ContextBudgeter", "ContextRanker", "ContextSource", "Fit", "Tokenizer"]


@runtime_checkable
class ContextSource(Protocol):
    """Offers segments for the prompt of a turn. The core orders, trims and renders them."""

    async def collect(self, query: ContextQuery) -> Sequence[Segment]:
        """Return segments; called once a turn, concurrently with other sources, under a time limit."""
        ...


@runtime_checkable
class ContextRanker(Protocol):
    """Puts the optional segments of all sources in one order."""

    async def rank(self, query: ContextQuery, segments: Sequence[Segment]) -> Sequence[Segment]:
        """Return the same segments, best first."""
        ...


@dataclass(frozen=True, slots=True)
class Fit:
    """What a budgeter decided: the segments kept, and those dropped, each with its ``reason`` filled in."""

    kept: Sequence[Segment]
    dropped: Sequence[Segment]
    history_tokens: int
    """What is left for the history, in tokens."""


@runtime_checkable
class ContextBudgeter(Protocol):
    """Chooses which segments fit; a pure function of its arguments."""

    def split(self, window: int, reserve: int, *, calibrated: bool) -> Budget:
        """Split a window of tokens into reserve, safety, prompt and shares."""
        ...

    def fit(self, segments: Sequence[Segment], budget: Budget, *, history_tokens: int, question_tokens: int) -> Fit:
        """Keep what fits. ``history_tokens`` is what the whole branch would take.

        Raises:
            ContextTooLong: instructions and question alone do not fit.
        """
        ...


@runtime_checkable
class Tokenizer(Protocol):
    """Counts tokens, exactly or by estimate; fast enough for a megabyte of text in a second."""

    def count(self, text: str) -> int:
        """Return how many tokens ``text`` takes; an estimate errs upwards."""
        ...


@runtime_checkable
class Chunker(Protocol):
    """Cuts a document into passages that make sense by themselves and do not overlap."""

    def split(self, text: str, *, name: str, media_type: str) -> Iterator[Passage]:
        """Give the passages in order; their character ranges are ranges of ``text``."""
        ...
