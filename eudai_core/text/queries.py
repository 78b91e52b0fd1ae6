"""Search queries made of a conversation, without asking a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from eudai_core.text.terms import tokenise

__all__ = ["query_terms"]

_EARLIER: Final = 0.5
_DECAY: Final = 0.8
_ANSWER: Final = 0.1
_MOST: Final = 256


def query_terms(question: str, earlier_questions: Sequence[str] = (), last_answer: str = "") -> dict[str, float]:
    """Return weighted search terms for ``question``, asked after ``earlier_questions`` (newest last).

    A term of the question weighs 1, one of the question before it 0.5, of the one before that 0.4 and so on by a
    factor of 0.8, one of the last answer 0.1; a term found in several places has the highest of its weights, not
    their sum. At most 256 terms, the heaviest, in the order question, earlier questions from the newest, answer.
    """
    weights: dict[str, float] = dict.fromkeys(tokenise(question), 1.0)
    weight = _EARLIER
    for earlier in reversed(earlier_questions):
        if len(weights) >= _MOST:
            break
        for term in tokenise(earlier):
            weights.setdefault(term, weight)
        weight *= _DECAY
    if len(weights) < _MOST:
        for term in tokenise(last_answer):
            weights.setdefault(term, min(_ANSWER, weight))
    return dict(list(weights.items())[:_MOST])
