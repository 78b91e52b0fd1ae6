"""The pure heart of context assembly: same input, same bytes.

``compose`` chooses what of the offers goes into the prompt; plugins may then append to the user message; ``complete``
cuts the history to what is left and gives the prompt. Neither asks a clock, a database or a random number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from eudai_core.context.branch import Branch
from eudai_core.context.pieces import EVIDENCE, MESSAGE_TOKENS, Count, Piece, Prompt, Turn, make_piece
from eudai_core.context.selection import choose, prompt_order, turn_share, without_duplicates
from eudai_core.contracts import ContextBudgeter
from eudai_core.errors import ContextTooLong
from eudai_core.model import Budget, Segment, SegmentKind, Stability

__all__ = ["Draft", "Finished", "Material", "complete", "compose", "evidence_start"]


@dataclass(frozen=True, slots=True)
class Material:
    """All that decides the bytes of a prompt.

    ``offered`` holds the segments of the rules and of every source in the ranker's order. ``recorded`` is the user
    message of the same turn when an answer is continued, ``partial`` the answer so far.
    """

    answer_id: UUID
    question: Segment
    offered: tuple[Segment, ...]
    branch: Branch
    budget: Budget
    recorded: tuple[Piece, ...] = ()
    partial: Segment | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What was chosen before the history is cut: ``history_at`` and ``evidence_at`` are indexes of turns."""

    material: Material
    system: tuple[Piece, ...]
    user: tuple[Piece, ...]
    dropped: tuple[Segment, ...]
    history_at: int
    evidence_at: int

    def segments(self) -> tuple[Segment, ...]:
        """Return the chosen segments in prompt order, without history and question."""
        return tuple(piece.as_segment() for piece in (*self.system, *self.user))


@dataclass(frozen=True, slots=True)
class Finished:
    """The prompt, and what did not get into it. ``history_from`` and ``evidence_from`` name answers, or None."""

    prompt: Prompt
    dropped: tuple[Segment, ...]
    history_from: UUID | None
    evidence_from: UUID | None
    older_turns: int


def evidence_start(branch: Branch) -> int:
    """Return the index of the first turn whose evidence the nearest ancestor turn still held."""
    if branch.ancestor is None:
        return 0
    stored = branch.ancestor.report.get("evidence_from")
    return branch.index_of(UUID(stored) if isinstance(stored, str) else None)


def compose(material: Material, budgeter: ContextBudgeter, count: Count) -> Draft:
    """Choose what the offers, the ledger and the budget allow.

    Raises:
        ContextTooLong: instructions and question alone do not fit the window.
    """
    branch, budget = material.branch, material.budget
    pieces = [make_piece(s, count, "system" if s.stability is Stability.STATIC else "user") for s in material.offered]
    offers = without_duplicates(piece.as_segment() for piece in pieces)
    fixed = _fixed_tokens(material, offers.wanted, count)
    if fixed > budget.prompt:
        raise _too_long(fixed, budget)
    history_at = branch.index_of(branch.ancestor.history_from if branch.ancestor else None)
    evidence_at = max(history_at, evidence_start(branch))
    static = sum(s.tokens for s in offers.wanted if s.kind in EVIDENCE and s.stability is Stability.STATIC)
    share = budget.shares.get("evidence", budget.prompt)
    room = turn_share(max(0, share - static))
    evidence_at = _evidence_cut(branch, offers.wanted, evidence_at, share=share - static, room=room)
    while True:
        held = _held(branch, history_at, evidence_at)
        kept, dropped = _fitted(material, budgeter, offers.wanted, held, room=room, fixed=fixed)
        space = budget.prompt - fixed - _optional_tokens(kept)
        if _sum(held) <= space or history_at >= len(branch.turns):
            break
        history_at = max(history_at + 1, _cut(held, space, history_at))
        evidence_at = max(evidence_at, history_at)
    rendered = {id(piece.segment): piece for piece in pieces}
    ordered = [rendered[id(segment)] for segment in prompt_order(kept)]
    return Draft(
        material,
        tuple(piece for piece in ordered if piece.role == "system"),
        (*material.recorded, *(piece for piece in ordered if piece.role == "user")),
        (*offers.dropped, *dropped),
        history_at,
        evidence_at,
    )


def complete(draft: Draft, appended: Sequence[Segment], count: Count) -> Finished:
    """Add what plugins appended to the user message, as far as it fits, and cut the history to the rest."""
    material = draft.material
    budget, branch = material.budget, material.branch
    extra: list[Piece] = []
    dropped: list[Segment] = []
    held = _held(branch, draft.history_at, draft.evidence_at)
    question = make_piece(material.question, count, "user")
    partial = make_piece(material.partial, count, "assistant") if material.partial is not None else None
    base = Prompt(draft.system, (), (*draft.user, question), partial).tokens
    # Appended text may push old turns out, but never more than an eighth of the prompt.
    space = max(budget.prompt - base - _sum(held), min(budget.prompt - base, budget.prompt // 8))
    for segment in appended:
        piece = make_piece(segment, count, "user")
        if piece.tokens <= space:
            space -= piece.tokens
            extra.append(piece)
        else:
            dropped.append(replace(segment, tokens=piece.tokens, reason="appended, but no room is left"))
    user = (*draft.user, *extra, question)
    space = budget.prompt - Prompt(draft.system, (), user, partial).tokens
    history_at = draft.history_at
    if _sum(held) > space:
        history_at = _cut(held, space, draft.history_at)
    evidence_at = max(draft.evidence_at, history_at)
    return Finished(
        Prompt(draft.system, _held(branch, history_at, evidence_at), user, partial),
        (*draft.dropped, *dropped),
        _cut_point(material, history_at),
        _cut_point(material, evidence_at),
        branch.older + history_at,
    )


def _tokens(segment: Segment, count: Count) -> int:
    return make_piece(segment, count, "").tokens


def _is_fixed(segment: Segment) -> bool:
    return segment.kind in (SegmentKind.RULES, SegmentKind.INSTRUCTION)


def _fixed_tokens(material: Material, segments: Iterable[Segment], count: Count) -> int:
    """Return what must be sent whatever else is: rules, instructions, question, a partial answer, three messages."""
    fixed = sum(segment.tokens for segment in segments if _is_fixed(segment)) + 2 * MESSAGE_TOKENS
    fixed += _tokens(material.question, count) + sum(piece.tokens for piece in material.recorded)
    return fixed + (_tokens(material.partial, count) + MESSAGE_TOKENS if material.partial is not None else 0)


def _too_long(fixed: int, budget: Budget) -> ContextTooLong:
    return ContextTooLong(
        f"The question with the project's instructions takes about {fixed} tokens; the model's window of "
        f"{budget.window} leaves {budget.prompt} for them beside the answer. Shorten the question or the "
        "instructions, put long text into a file of the project, or choose a model with a larger window.",
        prompt_tokens=fixed,
        window=budget.window,
    )


def _held(branch: Branch, history_at: int, evidence_at: int) -> tuple[Turn, ...]:
    """Return the turns from ``history_at`` on, those before ``evidence_at`` without their evidence."""
    return tuple(
        turn if at >= evidence_at else turn.without_evidence()
        for at, turn in enumerate(branch.turns[history_at:], history_at)
    )


def _sum(turns: Iterable[Turn]) -> int:
    return sum(turn.tokens for turn in turns)


def _placed(turns: Iterable[Turn]) -> frozenset[str]:
    return frozenset(
        piece.record.id for turn in turns for piece in turn.user if piece.text is not None and piece.record.id
    )


def _evidence_cut(branch: Branch, offered: Sequence[Segment], start: int, *, share: int, room: int) -> int:
    """Return the index of the first turn that keeps its evidence.

    When what is placed and what is new overflow the share, the oldest evidence goes until there is room for a whole
    turn's, so that the next turns need no cut.
    """
    held = sum(turn.evidence_tokens for turn in branch.turns[start:])
    placed = _placed(branch.turns[start:])
    fresh = sum(s.tokens for s in choose(offered, placed=placed, room=room).wanted if _is_new_evidence(s))
    if held + fresh <= share:
        return start
    while start < len(branch.turns) and held > max(0, share - room):
        held -= branch.turns[start].evidence_tokens
        start += 1
    return start


def _is_new_evidence(segment: Segment) -> bool:
    return segment.kind in EVIDENCE and segment.stability is Stability.TURN


def _fitted(
    material: Material,
    budgeter: ContextBudgeter,
    offered: Sequence[Segment],
    held: Sequence[Turn],
    *,
    room: int,
    fixed: int,
) -> tuple[list[Segment], list[Segment]]:
    """Ask the budgeter, and hold it to the budget; returns what is kept and what is dropped."""
    choice = choose(offered, placed=_placed(held), room=room)
    budget = material.budget
    shares = dict(budget.shares)
    if "evidence" in shares:
        shares["evidence"] = max(0, shares["evidence"] - sum(turn.evidence_tokens for turn in held))
    question = fixed - sum(segment.tokens for segment in offered if _is_fixed(segment))
    fit = budgeter.fit(
        choice.wanted, replace(budget, shares=shares), history_tokens=_sum(held), question_tokens=question
    )
    # Whatever a budgeter plugin says: nothing is invented, instructions stay, and the prompt never overflows.
    names = {id(segment) for segment in fit.kept}
    left = budget.prompt - fixed
    kept: list[Segment] = []
    dropped = [*choice.dropped, *fit.dropped]
    reasoned = {_name(segment) for segment in fit.dropped}
    for segment in choice.wanted:
        if _is_fixed(segment):
            kept.append(segment)
        elif id(segment) in names and segment.tokens <= left:
            left -= segment.tokens
            kept.append(segment)
        elif _name(segment) not in reasoned:
            dropped.append(replace(segment, reason="over the budget"))
    return kept, dropped


def _name(segment: Segment) -> tuple[object, ...]:
    return segment.kind, segment.plugin, segment.origin, segment.id, segment.order


def _optional_tokens(segments: Iterable[Segment]) -> int:
    return sum(segment.tokens for segment in segments if not _is_fixed(segment))


def _cut(turns: Sequence[Turn], space: int, start: int) -> int:
    """Return the index of the first turn to keep when ``turns`` do not fit ``space``; ``start`` is that of the first.

    The newest turns that fit half of the space stay, so that the cut holds for many turns: each cut costs the whole
    cached prefix. The newest one stays whenever it fits at all.
    """
    at = start + len(turns)
    half = space // 2
    for turn in reversed(turns):
        half -= turn.tokens
        if half < 0:
            break
        at -= 1
    if at == start + len(turns) and turns and turns[-1].tokens <= space:
        at -= 1
    return at


def _cut_point(material: Material, at: int) -> UUID | None:
    """Name a cut point: None is the beginning of the branch, this turn's own answer stands for "nothing before it"."""
    if at == 0 and not material.branch.older:
        return None
    turns = material.branch.turns
    return turns[at].history.answer_id if at < len(turns) else material.answer_id
