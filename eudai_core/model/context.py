"""The parts of a prompt, why each is in or out, and the record that rebuilds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

__all__ = [
    "Budget",
    "ContextQuery",
    "ContextRecord",
    "HistoryTurn",
    "Origin",
    "Segment",
    "SegmentKind",
    "SegmentRecord",
    "Stability",
]


class SegmentKind(StrEnum):
    """What a segment is, in the order in which kinds stand in a prompt."""

    RULES = "rules"
    INSTRUCTION = "instruction"
    OUTLINE = "outline"
    FILE = "file"
    PAGE = "page"
    SUMMARY = "summary"
    HISTORY = "history"
    TOOL = "tool"
    QUESTION = "question"


class Stability(StrEnum):
    """Where a segment may stand: STATIC ones open the prompt, TURN ones belong to the user message of their turn."""

    STATIC = "static"
    TURN = "turn"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a text comes from: an object, its version, and code points ``start`` to ``end`` of its text (None: all)."""

    type: str
    id: str
    name: str = ""
    version: int = 1
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A text that a context source offers for the prompt.

    ``id`` is short, stable and what the model cites, or empty for what is not cited. ``order`` puts segments of one
    kind in a fixed order. ``required`` ones (instructions, pinned files) are kept before others. ``score`` ranks the
    optional ones, higher first. ``reason`` says why it was offered. ``plugin`` is filled in by the host.
    """

    kind: SegmentKind
    text: str
    origin: Origin
    stability: Stability
    id: str = ""
    plugin: str = ""
    order: tuple[int | str, ...] = ()
    required: bool = False
    score: float | None = None
    reason: str = ""
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class HistoryTurn:
    """An earlier turn of the branch: the question as asked, and the answer without its thinking."""

    message_id: UUID
    question: str
    answer_id: UUID
    answer: str


@dataclass(frozen=True, slots=True)
class Budget:
    """How the window is split, in tokens.

    ``window`` = ``reserve`` (for the answer) + ``safety`` + ``prompt``; ``shares`` caps kinds of the prompt
    (``evidence``, ``history``), and what one leaves unused flows to the other.
    """

    window: int
    reserve: int
    safety: int
    prompt: int
    shares: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContextQuery:
    """What a context source is asked.

    ``terms`` are weighted search terms made of the question and, with less weight, of the conversation.
    ``history`` is newest last. ``evidence_tokens`` is what files and pages may take together.
    """

    user_id: UUID
    project_id: UUID
    conversation_id: UUID
    question: str
    terms: Mapping[str, float]
    history: Sequence[HistoryTurn]
    model: str
    evidence_tokens: int
    project_settings: Mapping[str, Any] = field(default_factory=dict)
    placed: frozenset[str] = frozenset()
    """Ids of segments that the previous prompt of the branch held: files in full, and the evidence ledger."""


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """A segment in a stored record: its text is kept once, by SHA-256 of the rendered bytes."""

    kind: SegmentKind
    plugin: str
    origin: Origin
    id: str
    tokens: int
    included: bool
    reason: str
    sha256: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class ContextRecord:
    """What one model call saw, small and enough to rebuild the exact messages.

    The system message is the join of ``system``; the user message of this turn the join of ``user``; between them
    stand the turns of the branch from ``history_from`` on (None: from the beginning), each with the ``user`` segments
    of its own record. ``report`` holds the numbers of contract.md section 5.
    """

    run_id: UUID
    step: int
    message_id: UUID
    conversation_id: UUID
    model: str
    system: Sequence[SegmentRecord]
    user: Sequence[SegmentRecord]
    history_from: UUID | None
    left_out: Sequence[SegmentRecord] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
