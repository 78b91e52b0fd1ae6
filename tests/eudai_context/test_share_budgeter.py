"""The budgeter: shares, flow, and what is refused."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eudai_context.ranking import ScoreRanker
from eudai_context.shares import ShareBudgeter
from eudai_core.errors import ContextTooLong
from eudai_core.model import ContextQuery, Origin, Segment, SegmentKind, Stability

_kinds = [SegmentKind.INSTRUCTION, SegmentKind.FILE, SegmentKind.PAGE, SegmentKind.TOOL, SegmentKind.OUTLINE]


def segment(kind: SegmentKind, tokens: int, *, required: bool = False, score: float | None = None) -> Segment:
    return Segment(
        kind, "x", Origin("t", "1"), Stability.TURN, required=required, tokens=tokens, reason="r", score=score
    )


@given(st.integers(1024, 2_000_000), st.integers(1, 100_000), st.booleans())
def test_a_split_adds_up(window: int, reserve: int, calibrated: bool) -> None:
    budget = ShareBudgeter().split(window, reserve, calibrated=calibrated)
    assert budget.reserve + budget.safety + budget.prompt == window
    assert sum(budget.shares.values()) == budget.prompt
    assert min(512, window // 2) <= budget.reserve <= max(512, window // 4)
    assert budget.safety >= window * (0.03 if calibrated else 0.12)


_segments = st.lists(
    st.builds(segment, st.sampled_from(_kinds), st.integers(1, 3000), required=st.booleans()), max_size=12
)


@given(_segments, st.integers(2048, 40_000), st.integers(0, 20_000), st.integers(1, 2000))
def test_nothing_is_lost_and_nothing_overflows(
    segments: list[Segment], window: int, history: int, question: int
) -> None:
    budgeter = ShareBudgeter()
    budget = budgeter.split(window, 1024, calibrated=False)
    fixed = question + sum(s.tokens for s in segments if s.kind is SegmentKind.INSTRUCTION)
    if fixed > budget.prompt:
        with pytest.raises(ContextTooLong):
            budgeter.fit(segments, budget, history_tokens=history, question_tokens=question)
        return
    fit = budgeter.fit(segments, budget, history_tokens=history, question_tokens=question)
    used = sum(s.tokens for s in fit.kept) + question
    assert used + fit.history_tokens == budget.prompt
    assert len(fit.kept) + len(fit.dropped) == len(segments)
    assert all(s.reason != "r" for s in fit.dropped)
    assert all(s.kind is not SegmentKind.INSTRUCTION for s in fit.dropped)
    evidence = sum(s.tokens for s in fit.kept if s.kind in {SegmentKind.FILE, SegmentKind.PAGE})
    free = budget.prompt - question - sum(s.tokens for s in fit.kept if s.kind is SegmentKind.INSTRUCTION)
    assert evidence <= max(budget.shares["evidence"], free - history)


def test_history_that_is_short_leaves_its_share_to_files() -> None:
    budgeter = ShareBudgeter()
    budget = budgeter.split(8192, 2048, calibrated=False)
    big = segment(SegmentKind.FILE, budget.shares["evidence"] + 500)
    assert budgeter.fit([big], budget, history_tokens=0, question_tokens=10).kept == (big,)
    full = budgeter.fit([big], budget, history_tokens=budget.prompt, question_tokens=10)
    assert [s.reason for s in full.dropped] == ["too large for what is left of the share of files"]


def test_required_segments_are_kept_before_others() -> None:
    budgeter = ShareBudgeter()
    budget = budgeter.split(8192, 2048, calibrated=False)
    size = budget.shares["evidence"]
    optional, pinned = segment(SegmentKind.FILE, size), segment(SegmentKind.FILE, size, required=True)
    fit = budgeter.fit([optional, pinned], budget, history_tokens=budget.prompt, question_tokens=10)
    assert fit.kept == (pinned,)


def test_instructions_too_long_are_refused_with_numbers() -> None:
    budgeter = ShareBudgeter()
    budget = budgeter.split(4096, 1024, calibrated=False)
    with pytest.raises(ContextTooLong, match=r"about 9010 tokens.*4096"):
        budgeter.fit([segment(SegmentKind.INSTRUCTION, 9000)], budget, history_tokens=0, question_tokens=10)


async def test_the_ranker_puts_the_best_score_first_and_keeps_ties() -> None:
    low, none, high, tie = (segment(SegmentKind.FILE, n, score=s) for n, s in ((1, 0.5), (2, None), (3, 2.0), (4, 2.0)))
    nobody = UUID(int=0)
    query = ContextQuery(nobody, nobody, nobody, "?", {}, (), "m", 1000)
    ranked = await ScoreRanker().rank(query, [low, none, high, tie])
    assert ranked == [none, high, tie, low]
