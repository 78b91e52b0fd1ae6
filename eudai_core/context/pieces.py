"""What a prompt is made of, as values: pieces of messages, turns, and the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from eudai_core.context.render import body, render
from eudai_core.model import HistoryTurn, Origin, PromptMessage, Segment, SegmentKind, SegmentRecord, Stability

__all__ = [
    "EVIDENCE",
    "JOIN",
    "MESSAGE_TOKENS",
    "Count",
    "Piece",
    "Prompt",
    "Turn",
    "asked",
    "digest",
    "make_piece",
    "spoken",
]

Count = Callable[[str], int]
"""Tells the tokens of a text."""

EVIDENCE: Final = frozenset({SegmentKind.FILE, SegmentKind.PAGE})
"""Kinds that share the budget of files and pages."""

JOIN: Final = "\n\n"
"""What stands between the pieces of a message."""

MESSAGE_TOKENS: Final = 8
"""What a chat template adds to a message: role, marks, line ends. The common ones take 3 to 6 tokens."""

_JOIN_TOKENS: Final = 1


def digest(text: str) -> str:
    """Return the SHA-256 of the UTF-8 bytes of ``text`` in hex, the name under which texts are stored."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Piece:
    """A rendered segment: its record, and the text as it stands in the prompt. ``role`` is its message's.

    ``text`` is None when the text was erased from storage since; such a piece is sent no more.
    """

    record: SegmentRecord
    text: str | None
    role: str
    segment: Segment | None = None

    @property
    def tokens(self) -> int:
        """What the piece takes, its join included."""
        return self.record.tokens if self.text is not None else 0

    def as_segment(self) -> Segment:
        """Return the segment: as it was offered, or, for a replayed piece, as the record and the text tell."""
        if self.segment is not None:
            return self.segment
        record = self.record
        return Segment(
            kind=record.kind,
            text=body(record.kind, self.text or ""),
            origin=record.origin,
            stability=Stability.STATIC if self.role == "system" else Stability.TURN,
            id=record.id,
            plugin=record.plugin,
            score=record.score,
            reason=record.reason,
            tokens=record.tokens,
        )


def make_piece(segment: Segment, count: Count, role: str) -> Piece:
    """Render a segment and count its tokens."""
    text = render(segment)
    tokens = count(text) + _JOIN_TOKENS
    segment = replace(segment, tokens=tokens)
    record = SegmentRecord(
        kind=segment.kind,
        plugin=segment.plugin,
        origin=segment.origin,
        id=segment.id,
        tokens=tokens,
        included=True,
        reason=segment.reason,
        sha256=digest(text),
        score=segment.score,
    )
    return Piece(record, text, role, segment)


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier turn as it stands in a prompt: the pieces of its user message, the question last, and its answer."""

    history: HistoryTurn
    user: tuple[Piece, ...]
    answer: Piece

    @property
    def evidence_tokens(self) -> int:
        """What its files and pages take."""
        return sum(piece.tokens for piece in self.user if piece.record.kind in EVIDENCE)

    @property
    def tokens(self) -> int:
        """What both of its messages take."""
        return sum(piece.tokens for piece in (*self.user, self.answer)) + 2 * MESSAGE_TOKENS

    def without_evidence(self) -> Turn:
        """Return the turn with its files and pages dropped."""
        return replace(self, user=tuple(piece for piece in self.user if piece.record.kind not in EVIDENCE))


@dataclass(frozen=True, slots=True)
class Prompt:
    """A whole prompt. ``partial`` is the beginning of the answer when one is continued."""

    system: tuple[Piece, ...]
    turns: tuple[Turn, ...]
    user: tuple[Piece, ...]
    partial: Piece | None = None

    def pieces(self) -> Iterator[Piece]:
        """Give every piece in prompt order, erased ones too."""
        yield from self.system
        for turn in self.turns:
            yield from turn.user
            yield turn.answer
        yield from self.user
        if self.partial is not None:
            yield self.partial

    @property
    def tokens(self) -> int:
        """What the prompt takes in all."""
        messages = bool(self.system) + 2 * len(self.turns) + 1 + (self.partial is not None)
        return sum(piece.tokens for piece in self.pieces()) + messages * MESSAGE_TOKENS

    def messages(self) -> tuple[PromptMessage, ...]:
        """Return the messages, byte for byte what a backend is given."""
        found = [_message("system", self.system)] if self.system else []
        for turn in self.turns:
            found += [_message("user", turn.user), _message("assistant", (turn.answer,))]
        found.append(_message("user", self.user))
        if self.partial is not None:
            found.append(_message("assistant", (self.partial,)))
        return tuple(found)


def _message(role: str, pieces: Sequence[Piece]) -> PromptMessage:
    return PromptMessage(role, JOIN.join(piece.text for piece in pieces if piece.text is not None))


def spoken(text: str, *, sender: str, message_id: str) -> Segment:
    """Return the segment of an earlier message of the conversation; ``sender`` is ``user`` or ``llm``."""
    origin = Origin("message", message_id, sender)
    return Segment(SegmentKind.HISTORY, text, origin, Stability.TURN, plugin="core", reason="conversation")


def asked(question: str, message_id: str) -> Segment:
    """Return the segment of the question that is to be answered."""
    origin = Origin("message", message_id, "user")
    return Segment(
        SegmentKind.QUESTION, question, origin, Stability.TURN, plugin="core", required=True, reason="the question"
    )
