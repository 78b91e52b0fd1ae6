"""Conversations for tests of context assembly: the pure core, driven turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from eudai_context.estimate import EstimatingTokenizer
from eudai_context.shares import ShareBudgeter
from eudai_core.context.assembly import AssemblyRequest
from eudai_core.context.branch import build_branch
from eudai_core.context.composition import Finished, Material, complete, compose
from eudai_core.context.pieces import asked
from eudai_core.context.prefix import Reuse, compare
from eudai_core.context.records import make_record
from eudai_core.context.render import rules_segment
from eudai_core.model import (
    Budget,
    ContextRecord,
    HistoryTurn,
    ModelInfo,
    Origin,
    Project,
    PromptMessage,
    Segment,
    SegmentKind,
    Stability,
)

__all__ = ["Dialogue", "Step", "file_segment", "instruction_segment", "passage_segment"]

NOW = datetime(2026, 11, 25, tzinfo=UTC)
count = EstimatingTokenizer().count


def file_segment(name: str, text: str, *, version: int = 1, required: bool = False) -> Segment:
    """A file in full."""
    origin = Origin("file", name, f"{name}.md", version)
    return Segment(
        SegmentKind.FILE, text, origin, Stability.STATIC, id=f"f{name}", plugin="files", required=required, reason="all"
    )


def passage_segment(name: str, number: int, text: str, *, score: float = 1.0) -> Segment:
    """A passage of a file."""
    origin = Origin("file", name, f"{name}.md", 1, number * 10, number * 10 + len(text))
    return Segment(
        SegmentKind.FILE,
        text,
        origin,
        Stability.TURN,
        id=f"f{name}:{number}",
        plugin="files",
        order=(name, number),
        score=score,
        reason="matches",
    )


def instruction_segment(text: str) -> Segment:
    """A standing instruction."""
    origin = Origin("instruction", "i")
    return Segment(
        SegmentKind.INSTRUCTION, text, origin, Stability.STATIC, id="i1", plugin="instructions", required=True
    )


@dataclass(frozen=True)
class Step:
    """What a turn came to."""

    messages: tuple[PromptMessage, ...]
    finished: Finished
    reuse: Reuse
    record: ContextRecord
    budget: Budget
    offered: tuple[Segment, ...]

    @property
    def left_out(self) -> tuple[Segment, ...]:
        return self.finished.dropped


@dataclass
class Dialogue:
    """A conversation whose turns are assembled by the pure core and recorded in memory."""

    window: int = 8192
    turns: list[HistoryTurn] = field(default_factory=list)
    records: dict[UUID, ContextRecord] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    model: str = "model"

    def ask(
        self,
        question: str,
        answer: str = "An answer.",
        offered: Sequence[Segment] = (),
        appended: Sequence[Segment] = (),
        gone: frozenset[str] = frozenset(),
    ) -> Step:
        """Assemble a turn, then answer it."""
        number = len(self.turns)
        answer_id = UUID(int=1000 + number)
        model = ModelInfo(self.model, "test", self.window)
        budgeter = ShareBudgeter()
        budget = budgeter.split(self.window, model.max_answer_tokens, calibrated=False)
        branch = build_branch(self.turns, self.records, self.texts, count, gone=gone)
        everything = (rules_segment(), *offered)
        material = Material(answer_id, asked(question, "q"), everything, branch, budget)
        finished = complete(compose(material, budgeter, count), appended, count)
        reuse = compare(branch, finished, self.model)
        project = Project(UUID(int=1), UUID(int=2), "p", "", NOW, NOW)
        request = AssemblyRequest(
            UUID(int=5000 + number), answer_id, UUID(int=2), project, UUID(int=3), question, (), model
        )
        record, texts = make_record(request, finished, budget, reuse, (), unanswered=0, count=count)
        self.records[answer_id] = record
        self.texts.update(texts)
        self.turns.append(HistoryTurn(UUID(int=2000 + number), question, answer_id, answer))
        return Step(finished.prompt.messages(), finished, reuse, record, budget, (*everything, *appended))
