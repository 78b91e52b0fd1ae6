"""The context report of an answer: what the model saw, rebuilt from the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from eudai_core.context.branch import build_branch, recorded_user, turns_of
from eudai_core.context.pieces import Piece, Prompt, Turn, make_piece, spoken
from eudai_core.context.records import prompt_digest
from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.errors import NotFound
from eudai_core.model import ContextRecord, HistoryTurn, Message, SegmentKind, SegmentRecord

__all__ = ["context_report"]

_LONGEST_PATH: Final = 10_000
"""Messages of a branch that are read at most."""


async def context_report(storage: Storage, answer_id: UUID) -> dict[str, Any]:
    """Return the report of an answer (contract.md sections 5 and 7).

    ``segments`` holds every included one in prompt order, then the best of those left out; ``left_out`` counts the
    rest. ``messages`` are the exact messages that were sent, and ``exact`` says whether they still are: text that was
    erased since is None in ``segments`` and replaced by its hash in ``messages``. History has no tokens of its own in
    the record; what it took together is split by length.

    Raises:
        NotFound: there is no such message, or nothing was recorded for it.
    """
    async with storage.unit_of_work(readonly=True) as work:
        answer = await work.messages.get(answer_id)
        record = await work.contexts.of_message(answer_id)
        if record is None:
            raise NotFound("Nothing was recorded for this message. Only answers have a context report.")
        prompt, texts = await _load(work, record)
    exact = prompt_digest(prompt.messages()) == record.report.get("prompt_sha256")
    shown = prompt if exact else _with_hashes(prompt)
    pieces = [piece for piece in prompt.pieces() if piece.text is not None or not exact]
    listed = [_entry(piece.record, piece.text, tokens) for piece, tokens in _with_tokens(pieces, record)]
    listed += [_entry(item, texts.get(item.sha256), item.tokens) for item in record.left_out]
    return {
        "message_id": str(record.message_id),
        "model": record.model,
        **_numbers(record, answer),
        "segments": listed,
        "messages": [{"role": message.role, "content": message.content} for message in shown.messages()],
        "exact": exact,
    }


async def _load(work: UnitOfWork, record: ContextRecord) -> tuple[Prompt, Mapping[str, str]]:
    path = await work.messages.path(record.message_id, limit=_LONGEST_PATH)
    turns = _from(turns_of(path[:-2])[0], record.history_from, record.message_id)
    records = await work.contexts.of_messages([turn.answer_id for turn in turns]) if turns else {}
    named = [*record.system, *record.user, *record.left_out, *(item for one in records.values() for item in one.user)]
    continued = record.report.get("continued")
    texts = await work.contexts.texts(sorted({item.sha256 for item in named} | ({continued} if continued else set())))
    branch = build_branch(turns, records, texts, _no_count)
    partial = None
    if continued:
        begun = make_piece(spoken("", sender="llm", message_id=str(record.message_id)), _no_count, "assistant")
        partial = replace(begun, text=texts.get(continued), record=replace(begun.record, sha256=continued))
    system = tuple(Piece(item, texts.get(item.sha256), "system") for item in record.system)
    user = recorded_user(record, texts, gone=frozenset())
    return Prompt(system, _without_old_evidence(branch.turns, record), user, partial), texts


def _no_count(text: str) -> int:
    return 0


def _from(turns: Sequence[HistoryTurn], history_from: UUID | None, answer_id: UUID) -> list[HistoryTurn]:
    if history_from is None:
        return list(turns)
    if history_from == answer_id:
        return []
    at = next((at for at, turn in enumerate(turns) if turn.answer_id == history_from), 0)
    return list(turns[at:])


def _without_old_evidence(turns: Sequence[Turn], record: ContextRecord) -> tuple[Turn, ...]:
    stored = record.report.get("evidence_from")
    if stored is None:
        return tuple(turns)
    at = next((at for at, turn in enumerate(turns) if str(turn.history.answer_id) == stored), None)
    if at is None:
        at = len(turns) if stored == str(record.message_id) else 0
    return tuple(turn if place >= at else turn.without_evidence() for place, turn in enumerate(turns))


def _with_hashes(prompt: Prompt) -> Prompt:
    def shown(piece: Piece) -> Piece:
        if piece.text is not None:
            return piece
        return replace(piece, text=f"[erased: SHA-256 {piece.record.sha256}]")

    return Prompt(
        tuple(map(shown, prompt.system)),
        tuple(replace(turn, user=tuple(map(shown, turn.user))) for turn in prompt.turns),
        tuple(map(shown, prompt.user)),
        None if prompt.partial is None else shown(prompt.partial),
    )


def _with_tokens(pieces: Sequence[Piece], record: ContextRecord) -> list[tuple[Piece, int]]:
    used = record.report.get("budget", {}).get("used", {}).get(str(SegmentKind.HISTORY), 0)
    characters = sum(len(p.text or "") for p in pieces if p.record.kind is SegmentKind.HISTORY)
    return [
        (piece, round(used * len(piece.text or "") / max(1, characters)))
        if piece.record.kind is SegmentKind.HISTORY
        else (piece, piece.record.tokens)
        for piece in pieces
    ]


def _entry(item: SegmentRecord, text: str | None, tokens: int) -> dict[str, Any]:
    origin = item.origin
    return {
        "kind": str(item.kind),
        "plugin": item.plugin,
        "id": item.id,
        "origin": {
            "type": origin.type,
            "id": origin.id,
            "name": origin.name,
            "version": origin.version,
            "start": origin.start,
            "end": origin.end,
        },
        "tokens": tokens,
        "included": item.included,
        "reason": item.reason,
        "score": item.score,
        "sha256": item.sha256,
        "text": text,
    }


def _numbers(record: ContextRecord, answer: Message) -> dict[str, Any]:
    report = record.report
    return {
        "budget": dict(report.get("budget", {})),
        "estimated_prompt_tokens": report.get("estimated_prompt_tokens"),
        "reported_prompt_tokens": answer.usage.prompt_tokens if answer.usage else None,
        "reused_prefix_tokens": report.get("reused_prefix_tokens"),
        "changes": list(report.get("changes", ())),
        "left_out": list(report.get("left_out", ())),
        "plugins": list(report.get("plugins", ())),
    }
