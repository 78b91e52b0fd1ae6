"""The budgeter ``shares``: what is always sent, then declared shares of the rest, and unused share flows on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from eudai_core.contracts import Fit, PluginContext
from eudai_core.errors import ContextTooLong
from eudai_core.model import Budget, Segment, SegmentKind

__all__ = ["ShareBudgeter", "share_budgeter"]

_EVIDENCE: Final = frozenset({SegmentKind.FILE, SegmentKind.PAGE})
_ALWAYS: Final = frozenset({SegmentKind.RULES, SegmentKind.INSTRUCTION})

_EVIDENCE_SHARE: Final = 0.60
_HISTORY_SHARE: Final = 0.35
"""The rest, 5 %, is for outlines, summaries and notes."""

_SAFETY: Final = 0.12
_SAFETY_CALIBRATED: Final = 0.03
"""Parts of the window that cover the error of the token estimate."""

_LEAST_RESERVE: Final = 512


class ShareBudgeter:
    """Files and pages get 60 %, history 35 %, all else 5 %; see eudai_core.contracts.ContextBudgeter."""

    def split(self, window: int, reserve: int, *, calibrated: bool) -> Budget:
        """Split a window: a quarter at most for the answer (512 tokens at least), then safety, then the prompt."""
        kept = min(max(min(reserve, window // 4), _LEAST_RESERVE), window // 2)
        safety = int(window * (_SAFETY_CALIBRATED if calibrated else _SAFETY)) + 1
        prompt = max(0, window - kept - safety)
        evidence, history = int(prompt * _EVIDENCE_SHARE), int(prompt * _HISTORY_SHARE)
        shares = {"evidence": evidence, "history": history, "other": prompt - evidence - history}
        return Budget(window, kept, safety, prompt, shares)

    def fit(self, segments: Sequence[Segment], budget: Budget, *, history_tokens: int, question_tokens: int) -> Fit:
        """Keep rules and instructions, then required segments, then the others in the order given, while they fit.

        Files and pages may take what the history does not need, and the other way round; neither takes what is
        declared for the other and used by it.

        Raises:
            ContextTooLong: rules, instructions and question do not fit.
        """
        fixed = question_tokens + sum(segment.tokens for segment in segments if segment.kind in _ALWAYS)
        if fixed > budget.prompt:
            raise _too_long(fixed, budget)
        left = budget.prompt - fixed
        history = min(history_tokens, budget.shares.get("history", left))
        rooms = {
            True: min(left, max(budget.shares.get("evidence", 0), left - history_tokens)),
            False: min(left, max(budget.shares.get("other", 0), left - history - budget.shares.get("evidence", 0))),
        }
        kept: list[Segment] = []
        dropped: list[Segment] = []
        for segment in sorted(segments, key=lambda one: not one.required):
            is_evidence = segment.kind in _EVIDENCE
            if segment.kind in _ALWAYS:
                kept.append(segment)
            elif segment.tokens <= min(left, rooms[is_evidence]):
                kept.append(segment)
                rooms[is_evidence] -= segment.tokens
                left -= segment.tokens
            else:
                dropped.append(replace(segment, reason=_reason(segment)))
        return Fit(tuple(kept), tuple(dropped), left)


def _reason(segment: Segment) -> str:
    whole = segment.origin.start is None
    if segment.kind in _EVIDENCE:
        return "too large for what is left of the share of files" if whole else "no room left in the share of files"
    return f"no room left for a segment of kind {segment.kind}"


def _too_long(fixed: int, budget: Budget) -> ContextTooLong:
    return ContextTooLong(
        f"Question and instructions take about {fixed} tokens, and the window of {budget.window} leaves "
        f"{budget.prompt} for them. Shorten them, or choose a model with a larger window.",
        prompt_tokens=fixed,
        window=budget.window,
    )


def share_budgeter(context: PluginContext) -> ShareBudgeter:
    """Make the budgeter."""
    return ShareBudgeter()
