"""The record of an assembly, which rebuilds and explains it, and the summary that the user sees."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from eudai_core.context.assembly import AssemblyRequest, SourceReport
from eudai_core.context.composition import Finished
from eudai_core.context.pieces import Count, digest, make_piece
from eudai_core.context.prefix import Reuse
from eudai_core.model import Budget, ContextRecord, PromptMessage, Segment, SegmentRecord

__all__ = ["LEFT_OUT", "make_record", "make_summary", "prompt_digest"]

LEFT_OUT: Final = 50
"""How many segments that were left out are recorded one by one, the best first; the others are counted."""

_LONGEST_LEFT_OUT: Final = 8_000
"""Characters of a left-out segment that are kept; the text of a longer one is in its document anyway."""


def prompt_digest(messages: Iterable[PromptMessage]) -> str:
    """Return a SHA-256 over roles and contents, which shows whether a rebuilt prompt is the same."""
    total = hashlib.sha256()
    for message in messages:
        for part in (message.role, message.content):
            data = part.encode("utf-8", "surrogatepass")
            total.update(len(data).to_bytes(8) + data)
    return total.hexdigest()


def make_record(
    request: AssemblyRequest,
    finished: Finished,
    budget: Budget,
    reuse: Reuse,
    sources: Sequence[SourceReport],
    *,
    unanswered: int,
    count: Count,
) -> tuple[ContextRecord, dict[str, str]]:
    """Return the record and the texts that it names, by hash."""
    prompt = finished.prompt
    texts = {p.record.sha256: p.text for p in (*prompt.system, *prompt.user) if p.text is not None}
    partial = prompt.partial
    if partial is not None and partial.text is not None:
        texts[partial.record.sha256] = partial.text
    left_out = [_left_out(segment, count, texts) for segment in finished.dropped[:LEFT_OUT]]
    report = {
        "budget": _budget(budget, finished),
        "estimated_prompt_tokens": prompt.tokens,
        "reused_prefix_tokens": reuse.tokens,
        "previous_prompt_tokens": reuse.previous_tokens,
        "changes": [dict(change) for change in reuse.changes],
        "left_out": _counts(finished.dropped[LEFT_OUT:], finished.older_turns, unanswered),
        "plugins": [_plugin(source, finished) for source in (*sources, *_others(sources, finished))],
        "evidence_from": str(finished.evidence_from) if finished.evidence_from else None,
        "continued": partial.record.sha256 if partial is not None else None,
        "prompt_sha256": prompt_digest(prompt.messages()),
    }
    record = ContextRecord(
        run_id=request.run_id,
        step=0,
        message_id=request.answer_id,
        conversation_id=request.conversation_id,
        model=request.model.name,
        system=tuple(piece.record for piece in prompt.system),
        user=tuple(piece.record for piece in prompt.user if piece.text is not None),
        history_from=finished.history_from,
        left_out=tuple(left_out),
        report=report,
    )
    return record, texts


def make_summary(record: ContextRecord, finished: Finished, unanswered: int) -> dict[str, Any]:
    """Return the payload of the ``context`` event; its ``left_out`` counts everything that was."""
    report = record.report
    return {
        "model": record.model,
        "tokens": report["estimated_prompt_tokens"],
        "budget": report["budget"],
        "reused_prefix_tokens": report["reused_prefix_tokens"],
        "changes": report["changes"],
        "left_out": _counts(finished.dropped, finished.older_turns, unanswered),
    }


def _left_out(segment: Segment, count: Count, texts: dict[str, str]) -> SegmentRecord:
    if len(segment.text) > _LONGEST_LEFT_OUT:
        return SegmentRecord(
            segment.kind,
            segment.plugin,
            segment.origin,
            segment.id,
            segment.tokens,
            False,
            segment.reason,
            digest(segment.text),
            segment.score,
        )
    piece = make_piece(segment, count, "")
    texts.setdefault(piece.record.sha256, piece.text or "")
    return replace(piece.record, included=False)


def _budget(budget: Budget, finished: Finished) -> dict[str, Any]:
    used: Counter[str] = Counter()
    for piece in finished.prompt.pieces():
        used[str(piece.record.kind)] += piece.tokens
    limits = {"window": budget.window, "reserve": budget.reserve, "safety": budget.safety, "prompt": budget.prompt}
    return {**limits, **budget.shares, "used": dict(used)}


def _counts(dropped: Sequence[Segment], older_turns: int, unanswered: int) -> list[dict[str, Any]]:
    counts = Counter((segment.origin.type, segment.reason) for segment in dropped)
    if older_turns:
        counts["turn", "older than what fits the window"] = older_turns
    if unanswered:
        counts["turn", "it has no answer"] = unanswered
    return [{"type": kind, "reason": reason, "count": number} for (kind, reason), number in counts.items()]


def _plugin(source: SourceReport, finished: Finished) -> Mapping[str, Any]:
    pieces = (*finished.prompt.system, *finished.prompt.user)
    return {
        "name": source.name,
        "milliseconds": source.milliseconds,
        "tokens": sum(piece.tokens for piece in pieces if piece.record.plugin == source.name),
        "faults": list(source.faults),
    }


def _others(sources: Sequence[SourceReport], finished: Finished) -> list[SourceReport]:
    """Return the plugins that are no sources and still have a part in the user message: they appended to it."""
    known = {"core", *(source.name for source in sources)}
    return [SourceReport(name) for name in sorted({p.record.plugin for p in finished.prompt.user} - known)]
