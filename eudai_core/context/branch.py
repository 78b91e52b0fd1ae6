"""The earlier turns of a branch, as messages and context records tell them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from eudai_core.context.pieces import EVIDENCE, Count, Piece, Turn, make_piece, spoken
from eudai_core.model import ContextRecord, HistoryTurn, Message, SegmentKind, Sender

__all__ = ["Branch", "build_branch", "recorded_user", "turns_of"]


@dataclass(frozen=True, slots=True)
class Branch:
    """The answered turns, oldest first, and the record of the newest one that has one (the ancestor).

    ``ancestor_at`` is its index in ``turns``. ``older`` counts turns before the first, too old to fit any prompt;
    ``unanswered`` counts questions without an answer: they are not sent, since a chat template wants questions and
    answers to alternate.
    """

    turns: tuple[Turn, ...]
    ancestor: ContextRecord | None = None
    ancestor_at: int = -1
    older: int = 0
    unanswered: int = 0

    def seen_from(self, record: ContextRecord) -> Branch:
        """Return the branch with the record of its next turn as the ancestor: that turn's answer is continued."""
        return replace(self, ancestor=record, ancestor_at=len(self.turns))

    def index_of(self, answer_id: UUID | None) -> int:
        """Return the index of the turn with this answer; 0 for None, or when it is not in the branch."""
        if answer_id is None:
            return 0
        return next((at for at, turn in enumerate(self.turns) if turn.history.answer_id == answer_id), 0)


def turns_of(path: Sequence[Message]) -> tuple[list[HistoryTurn], int]:
    """Pair the questions and answers of a path, oldest first; also return how many questions have no answer text."""
    turns: list[HistoryTurn] = []
    unanswered = 0
    question: Message | None = None
    for message in path:
        if message.sender is Sender.USER:
            unanswered += question is not None
            question = message
        elif question is not None:
            if message.text:
                turns.append(HistoryTurn(question.id, question.text, message.id, message.text))
            else:
                unanswered += 1
            question = None
    return turns, unanswered + (question is not None)


def recorded_user(record: ContextRecord, texts: Mapping[str, str], *, gone: frozenset[str]) -> tuple[Piece, ...]:
    """Return the pieces of a recorded user message; the text of files that are ``gone`` is not given."""
    return tuple(
        Piece(item, None if _is_gone(item.kind, item.origin.id, gone) else texts.get(item.sha256), "user")
        for item in record.user
    )


def _is_gone(kind: SegmentKind, origin_id: str, gone: frozenset[str]) -> bool:
    return kind in EVIDENCE and origin_id in gone


def build_branch(
    turns: Sequence[HistoryTurn],
    records: Mapping[UUID, ContextRecord],
    texts: Mapping[str, str],
    count: Count,
    *,
    gone: frozenset[str] = frozenset(),
) -> Branch:
    """Build the branch of ``turns`` from the records of their answers and the stored texts."""
    built: list[Turn] = []
    ancestor: ContextRecord | None = None
    ancestor_at = -1
    for at, turn in enumerate(turns):
        record = records.get(turn.answer_id)
        if record is not None:
            ancestor, ancestor_at = record, at
        built.append(_turn(turn, record, texts, count, gone))
    return Branch(tuple(built), ancestor, ancestor_at)


def _turn(
    turn: HistoryTurn, record: ContextRecord | None, texts: Mapping[str, str], count: Count, gone: frozenset[str]
) -> Turn:
    answer = spoken(turn.answer, sender="llm", message_id=str(turn.answer_id))
    asked = make_piece(spoken(turn.question, sender="user", message_id=str(turn.message_id)), count, "user")
    user = recorded_user(record, texts, gone=gone) if record is not None else ()
    # The question stands in the messages too, so it is there even when a record's text is not.
    user = tuple(piece for piece in user if piece.record.kind is not SegmentKind.QUESTION)
    return Turn(turn, (*user, asked), make_piece(answer, count, "assistant"))
