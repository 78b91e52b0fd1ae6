"""How much of the previous prompt a prompt begins with, and who is to blame for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eudai_core.context.branch import Branch
from eudai_core.context.composition import Finished, evidence_start
from eudai_core.context.pieces import Piece, Turn
from eudai_core.model import ContextRecord, SegmentRecord

__all__ = ["Reuse", "compare"]


@dataclass(frozen=True, slots=True)
class Reuse:
    """How many leading tokens equal the previous turn's prompt, of how many, and what changed before the rest.

    Each change is ``{"what", "by", "cost_tokens"}``; the first in prompt order carries the whole cost.
    """

    tokens: int = 0
    previous_tokens: int = 0
    changes: tuple[dict[str, Any], ...] = ()


def compare(branch: Branch, finished: Finished, model: str) -> Reuse:
    """Compare a prompt with the one that the branch's nearest recorded turn was answered from."""
    record = branch.ancestor
    if record is None:
        return Reuse()
    before = list(_previous(branch, record))
    now = list(_current(finished))
    total = sum(tokens for _, _, tokens in before)
    if record.model != model:
        what = f"the model changed from {record.model} to {model}"
        return Reuse(0, total, ({"what": what, "by": "user", "cost_tokens": total},))
    reused = 0
    for (role, sha256, tokens), (new_role, new_sha256, _) in zip(before, now, strict=False):
        if (role, sha256) != (new_role, new_sha256):
            break
        reused += tokens
    if reused == total and not _history_was_cut(branch, record, finished):
        return Reuse(total, total)
    causes = _causes(branch, record, finished)
    costs = [total - reused, *[0] * len(causes)]
    changes = tuple(
        {"what": what, "by": by, "cost_tokens": cost} for (what, by), cost in zip(causes, costs, strict=False)
    )
    return Reuse(reused, total, changes)


_Mark = tuple[str, str, int]
"""A piece as the comparison sees it: role, hash, tokens."""


def _marks(role: str, records: Sequence[SegmentRecord]) -> Iterator[_Mark]:
    return ((role, item.sha256, item.tokens) for item in records)


def _previous(branch: Branch, record: ContextRecord) -> Iterator[_Mark]:
    history_at = branch.index_of(record.history_from)
    evidence_at = max(history_at, evidence_start(branch))
    yield from _marks("system", record.system)
    for at in range(history_at, min(branch.ancestor_at, len(branch.turns))):
        turn = branch.turns[at]
        yield from _turn_marks(turn if at >= evidence_at else turn.without_evidence(), erased=True)
    yield from _marks("user", record.user)


def _current(finished: Finished) -> Iterator[_Mark]:
    prompt = finished.prompt
    yield from _marks("system", [piece.record for piece in prompt.system])
    for turn in prompt.turns:
        yield from _turn_marks(turn, erased=False)
    yield from _marks("user", [piece.record for piece in prompt.user])


def _turn_marks(turn: Turn, *, erased: bool) -> Iterator[_Mark]:
    yield from _marks("user", [piece.record for piece in turn.user if erased or piece.text is not None])
    yield from _marks("assistant", [turn.answer.record])


def _causes(branch: Branch, record: ContextRecord, finished: Finished) -> list[tuple[str, str]]:
    causes = _source_changes(record.system, finished.prompt.system)
    if _history_was_cut(branch, record, finished):
        causes.append(("older turns were left out to fit the window", "window"))
    elif _evidence_moved(branch, finished):
        causes.append(("the oldest evidence was left out to fit its share", "evidence share"))
    if any(piece.text is None for turn in branch.turns for piece in turn.user):
        causes.append(("text of a deleted source was erased", "user"))
    return causes or [("an earlier message changed", "user")]


def _history_was_cut(branch: Branch, record: ContextRecord, finished: Finished) -> bool:
    return finished.older_turns > branch.older + branch.index_of(record.history_from)


def _evidence_moved(branch: Branch, finished: Finished) -> bool:
    before = evidence_start(branch)
    return finished.evidence_from is not None and _index(branch, finished.evidence_from) > before


def _index(branch: Branch, answer_id: UUID) -> int:
    places = [at for at, turn in enumerate(branch.turns) if turn.history.answer_id == answer_id]
    return places[0] if places else len(branch.turns)


def _source_changes(before: Sequence[SegmentRecord], now: Sequence[Piece]) -> list[tuple[str, str]]:
    old = {_key(item): item for item in before}
    new = {_key(piece.record): piece.record for piece in now}
    found: list[tuple[str, str]] = []
    for key in [*old, *(key for key in new if key not in old)]:
        was, item = old.get(key), new.get(key)
        if was is None and item is not None:
            found.append((f"{_describe(item)} was added", item.plugin))
        elif was is not None and item is None:
            found.append((f"{_describe(was)} is no longer sent in full", was.plugin))
        elif was is not None and item is not None and was.sha256 != item.sha256:
            found.append((f"{_describe(item)} changed", item.plugin))
    if not found and [item.sha256 for item in before] != [piece.record.sha256 for piece in now]:
        found.append(("the order of the project's sources changed", "user"))
    return found


def _key(item: SegmentRecord) -> tuple[str, str, str, str]:
    # The id of a file tells its version; a new version of one file is a change of it, not a file come and gone.
    return item.kind, item.plugin, item.origin.type, item.origin.id


def _describe(item: SegmentRecord) -> str:
    return f"{item.kind} {item.origin.name}".rstrip()
