"""Properties of the pure core over random conversations."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from eudai_core.context.pieces import MESSAGE_TOKENS
from eudai_core.errors import ContextTooLong
from eudai_core.model import Origin, PromptMessage, Segment, SegmentKind, Stability
from support.prompts import Dialogue, Step, count, file_segment, instruction_segment, passage_segment

_words = st.text(alphabet=st.sampled_from("ab \n.<|>[]世д"), max_size=200)
_long = st.builds(lambda text, times: (text + " lorem ipsum") * times, _words, st.integers(1, 60))


@st.composite
def _passages(draw: st.DrawFn) -> list[Segment]:
    numbers = draw(st.lists(st.integers(0, 30), max_size=8, unique=True))
    return [passage_segment("p", n, f"{n} " + "fact " * (20 + 7 * n), score=draw(st.floats(0, 9))) for n in numbers]


@st.composite
def _appended(draw: st.DrawFn) -> list[Segment]:
    texts = draw(st.lists(_long, max_size=2))
    return [Segment(SegmentKind.TOOL, t, Origin("note", "n"), Stability.TURN, plugin="notes") for t in texts]


_turn = st.tuples(_long, _long.filter(bool), _passages(), _appended())
_static = st.tuples(
    st.lists(st.builds(lambda t: instruction_segment(t or "x"), _words), max_size=1),
    st.lists(_long, max_size=3).map(lambda texts: [file_segment(str(n), f"{n} {t}") for n, t in enumerate(texts)]),
)


def _play(window: int, static: list[Segment], turns: list[tuple[str, str, list[Segment], list[Segment]]]) -> list[Step]:
    dialogue = Dialogue(window=window)
    return [dialogue.ask(q, a, [*static, *passages], appended) for q, a, passages, appended in turns]


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([4096, 8192, 131_072]), _static, st.lists(_turn, min_size=1, max_size=6))
def test_prompts_are_reproducible_bounded_explained_and_stable(
    window: int,
    static: tuple[list[Segment], list[Segment]],
    turns: list[tuple[str, str, list[Segment], list[Segment]]],
) -> None:
    sources = [*static[0], *static[1]]
    refused = 0
    steps: list[Step] = []
    try:
        steps = _play(window, sources, turns)
    except ContextTooLong as error:
        refused = error.prompt_tokens or 1
    # Refused for a reason: the rest of the window is for the answer and for the error of the estimate.
    assert refused == 0 or refused > window * 0.62
    if steps:
        assert [step.messages for step in _play(window, sources, turns)] == [step.messages for step in steps]
    for step in steps:
        _check_budget(step)
        _check_explained(step)
    for before, after, turn in zip(steps, steps[1:], turns, strict=False):
        _check_prefix(before, after, answer=turn[1], roomy=window > 100_000)


def _check_budget(step: Step) -> None:
    assert sum(count(message.content) + MESSAGE_TOKENS for message in step.messages) <= step.budget.prompt
    assert step.budget.prompt + step.budget.reserve + step.budget.safety == step.budget.window


def _check_explained(step: Step) -> None:
    included = [
        (piece.record.id, piece.record.origin)
        for piece in (*step.finished.prompt.system, *step.finished.prompt.user)
        if piece.record.kind is not SegmentKind.QUESTION
    ]
    left_out = [(segment.id, segment.origin) for segment in step.left_out]
    assert sorted(map(str, included + left_out)) == sorted(str((s.id, s.origin)) for s in step.offered)
    assert all(segment.reason for segment in step.left_out)


def _check_prefix(before: Step, after: Step, *, answer: str, roomy: bool) -> None:
    assert after.reuse.tokens <= after.reuse.previous_tokens
    if roomy:
        assert after.reuse.changes == ()
    if after.reuse.changes:
        assert sum(c["cost_tokens"] for c in after.reuse.changes) == after.reuse.previous_tokens - after.reuse.tokens
        return
    head = after.messages[: len(before.messages)]
    assert head == before.messages
    assert after.messages[len(before.messages)].role == "assistant"
    if "<" not in answer and "[" not in answer:
        assert after.messages[len(before.messages)] == PromptMessage("assistant", answer)
