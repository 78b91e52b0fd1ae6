"""The pure core: what gets in, where it stands, what stays from turn to turn."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eudai_context.shares import ShareBudgeter
from eudai_core.context.pieces import MESSAGE_TOKENS
from eudai_core.contracts import Fit
from eudai_core.errors import ContextTooLong
from eudai_core.model import Budget, Origin, PromptMessage, Segment, SegmentKind, Stability
from support.prompts import Dialogue, Step, count, file_segment, instruction_segment, passage_segment


def is_prefix(before: Step, after: Step, answer: str = "An answer.") -> bool:
    wanted = (*before.messages, PromptMessage("assistant", answer))
    return after.messages[: len(wanted)] == wanted


def test_the_system_message_comes_first_in_a_fixed_order() -> None:
    offered = [file_segment("b", "Beta."), instruction_segment("Be brief."), file_segment("a", "Alpha.")]
    one = Dialogue().ask("What?", offered=offered).messages
    other = Dialogue().ask("What?", offered=offered[::-1]).messages
    assert one == other
    system = one[0].content
    assert [m.role for m in one] == ["system", "user"]
    assert system.index("Answer the user's question") < system.index("Be brief.") < system.index("Alpha.")
    assert system.index("Alpha.") < system.index("Beta.")
    assert one[-1].content == "What?"


def test_a_turn_s_passages_stand_before_its_question_and_are_replayed() -> None:
    dialogue = Dialogue()
    first = dialogue.ask("First?", offered=[passage_segment("a", 3, "Three."), passage_segment("a", 1, "One.")])
    user = first.messages[-1].content
    assert user.index("One.") < user.index("Three.") < user.index("First?")
    second = dialogue.ask("Second?", offered=[passage_segment("a", 1, "One."), passage_segment("a", 2, "Two.")])
    assert is_prefix(first, second)
    assert "Two." in second.messages[-1].content
    assert "One." not in second.messages[-1].content
    assert [s.reason for s in second.left_out] == ["stands in an earlier turn"]
    assert second.reuse.changes == ()
    assert second.reuse.tokens == second.reuse.previous_tokens > 0


def test_a_model_that_changed_is_named_with_its_cost() -> None:
    dialogue = Dialogue()
    dialogue.ask("First?")
    dialogue.model = "other"
    reuse = dialogue.ask("Second?").reuse
    assert reuse.tokens == 0
    assert [(c["what"], c["by"]) for c in reuse.changes] == [("the model changed from model to other", "user")]
    assert reuse.changes[0]["cost_tokens"] == reuse.previous_tokens


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ([], [file_segment("a", "Alpha.")], "file a.md was added"),
        ([file_segment("a", "Alpha.")], [], "file a.md is no longer sent in full"),
        ([file_segment("a", "Alpha.")], [file_segment("a", "New.", version=2)], "file a.md changed"),
        ([instruction_segment("Be brief.")], [instruction_segment("Be long.")], "instruction changed"),
    ],
)
def test_a_changed_source_is_named_with_its_cost(before: list[Segment], after: list[Segment], what: str) -> None:
    dialogue = Dialogue()
    dialogue.ask("First?", offered=before)
    reuse = dialogue.ask("Second?", offered=after).reuse
    assert [change["what"] for change in reuse.changes] == [what]
    assert reuse.changes[0]["by"] in {"files", "instructions"}
    assert reuse.changes[0]["cost_tokens"] == reuse.previous_tokens - reuse.tokens > 0


def test_history_is_cut_in_a_block_and_the_cut_stays() -> None:
    dialogue = Dialogue(window=4096)
    steps = [dialogue.ask(f"Question {n}?", answer=f"{n} " + "word " * 180) for n in range(40)]
    cuts = [n for n in range(1, 40) if steps[n].record.history_from != steps[n - 1].record.history_from]
    assert 1 <= len(cuts) <= 10
    for n in range(1, 40):
        held = is_prefix(steps[n - 1], steps[n], f"{n - 1} " + "word " * 180)
        assert held == (n not in cuts)
        assert bool(steps[n].reuse.changes) == (n in cuts)
    cut = steps[cuts[0]]
    assert cut.reuse.changes[0]["by"] == "window"
    assert cut.record.report["left_out"] == [
        {"type": "turn", "reason": "older than what fits the window", "count": cut.finished.older_turns}
    ]


def test_evidence_is_dropped_oldest_first_in_one_block() -> None:
    dialogue = Dialogue(window=8192)
    steps = [
        dialogue.ask(
            f"Question {n}?", offered=[passage_segment("a", 10 * n + m, f"{n} {m} " + "fact " * 140) for m in range(6)]
        )
        for n in range(8)
    ]
    moved = [
        n for n in range(1, 8) if steps[n].record.report["evidence_from"] != steps[n - 1].record.report["evidence_from"]
    ]
    assert moved
    step = steps[moved[0]]
    assert [change["by"] for change in step.reuse.changes] == ["evidence share"]
    assert "Question 0?" in "".join(m.content for m in step.messages)
    assert "0 0 fact" not in "".join(m.content for m in step.messages)
    for n in range(1, 8):
        assert is_prefix(steps[n - 1], steps[n]) == (n not in moved)


def test_one_turn_may_not_bring_more_than_its_share_of_evidence() -> None:
    offered = [passage_segment("a", n, f"{n} " + "fact " * 140, score=100 - n) for n in range(60)]
    step = Dialogue(window=32_768).ask("Question?", offered=offered)
    used = step.record.report["budget"]["used"]["file"]
    share = step.budget.shares["evidence"]
    assert share // 5 < used <= share // 4
    assert {s.reason for s in step.left_out} == {"beyond the evidence of one turn"}
    assert len(step.record.left_out) == min(50, len(step.left_out))


def test_a_deleted_file_vanishes_from_earlier_turns() -> None:
    dialogue = Dialogue()
    dialogue.ask("First?", offered=[passage_segment("a", 1, "Secret."), passage_segment("b", 1, "Public.")])
    step = dialogue.ask("Second?", gone=frozenset({"a"}))
    sent = "".join(message.content for message in step.messages)
    assert "Secret." not in sent
    assert "Public." in sent
    assert [change["what"] for change in step.reuse.changes] == ["text of a deleted source was erased"]


def test_a_question_that_does_not_fit_is_refused_with_numbers() -> None:
    with pytest.raises(ContextTooLong, match=r"takes about \d+ tokens.*window of 2048.*Shorten") as caught:
        Dialogue(window=2048).ask("word " * 3000)
    assert caught.value.window == 2048
    assert caught.value.prompt_tokens is not None
    assert caught.value.prompt_tokens > 2048


def test_appended_segments_stand_before_the_question_and_are_replayed() -> None:
    dialogue = Dialogue()
    now = Segment(SegmentKind.TOOL, "It is noon.", Origin("clock", "now"), Stability.TURN, plugin="now")
    first = dialogue.ask("First?", appended=[now])
    assert first.messages[-1].content.endswith("It is noon.\n</note>\n\nFirst?")
    assert is_prefix(first, dialogue.ask("Second?"))


def test_appended_text_that_does_not_fit_is_left_out_with_a_reason() -> None:
    flood = Segment(SegmentKind.TOOL, "word " * 5000, Origin("flood", "x"), Stability.TURN, plugin="flood")
    step = Dialogue(window=4096).ask("First?", appended=[flood])
    assert [s.reason for s in step.left_out] == ["appended, but no room is left"]


def test_no_text_stands_twice() -> None:
    step = Dialogue().ask("What?", offered=[file_segment("a", "Same."), file_segment("b", "Same.")])
    assert "".join(m.content for m in step.messages).count("Same.") == 1
    assert [s.reason for s in step.left_out] == ["same text as fa"]


class _Greedy(ShareBudgeter):
    """A budgeter that breaks its contract: it keeps everything."""

    def fit(self, segments: Sequence[Segment], budget: Budget, *, history_tokens: int, question_tokens: int) -> Fit:
        return Fit(tuple(segments), (), 0)


def test_a_budgeter_that_keeps_too_much_is_held_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.prompts.ShareBudgeter", _Greedy)
    step = Dialogue(window=4096).ask("What?", offered=[file_segment(f"{n}", f"{n} " + "word " * 800) for n in range(9)])
    assert step.finished.prompt.tokens <= step.budget.prompt
    assert {s.reason for s in step.left_out} == {"over the budget"}


def test_the_count_of_a_prompt_is_not_below_that_of_its_messages() -> None:
    dialogue = Dialogue()
    dialogue.ask("First?", offered=[passage_segment("a", 1, "One."), file_segment("b", "Beta.")])
    prompt = dialogue.ask("Second?", offered=[file_segment("b", "Beta.")]).finished.prompt
    messages = prompt.messages()
    assert prompt.tokens >= sum(count(message.content) + MESSAGE_TOKENS for message in messages)
