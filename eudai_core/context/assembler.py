"""From a question to a prompt: loads what is known, asks the plugins, and lets the pure core decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

from eudai_core.context.assembly import Assembly, AssemblyRequest, SourceReport
from eudai_core.context.branch import Branch, build_branch, recorded_user, turns_of
from eudai_core.context.composition import Draft, Material, complete, compose, evidence_start
from eudai_core.context.counting import TokenCounter
from eudai_core.context.offers import ask_sources, rank, transform
from eudai_core.context.pieces import EVIDENCE, Piece, asked, spoken
from eudai_core.context.prefix import compare
from eudai_core.context.records import make_record, make_summary
from eudai_core.context.render import rules_segment
from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.model import Budget, ContextQuery, ContextRecord, HistoryTurn, Segment, SegmentKind, Stability
from eudai_core.plugins import CONTEXT_BUDGETERS, TOKENIZERS, PluginHost
from eudai_core.text import query_terms

__all__ = ["ContextAssembler"]

_CHARACTERS_PER_TOKEN: Final = 8
"""No tokenizer gets more out of ordinary text; turns beyond a window of this many characters cannot be sent."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What storage knows of the branch; ``own`` is the record of the answer that is continued."""

    branch: Branch
    own: ContextRecord | None = None
    recorded: tuple[Piece, ...] = ()


class ContextAssembler:
    """Makes the prompts of a server. Stateless: all that it remembers is in the context records."""

    def __init__(self, host: PluginHost, storage: Storage) -> None:
        """Ask the plugins of ``host``, and read records from ``storage``."""
        self._host = host
        self._storage = storage

    async def assemble(self, request: AssemblyRequest) -> Assembly:
        """Make the prompt of a turn, with its record and report.

        Sources that fail or are late are left out and named. The database is read in one short unit of work, which
        is closed before any plugin is asked. Cancelling ends it at once; nothing is stored here.

        Raises:
            ContextTooLong: rules, instructions and question alone do not fit; says what to do.
            StorageUnavailable: the database does not answer.
            ConfigError: there is no budgeter.
        """
        host = self._host
        budgeter = host.one(CONTEXT_BUDGETERS)
        counter = TokenCounter(host.all(TOKENIZERS), request.model.name)
        budget = budgeter.split(
            request.model.window, request.max_answer_tokens or request.model.max_answer_tokens, calibrated=False
        )
        known = await self._known(request, counter)
        query = await host.run_blocking(_query, request, known, budget)
        offers = await ask_sources(host, query)
        ranked = await rank(host, query, offers.segments)
        material = _material(request, known, budget, ranked)
        draft = await host.run_blocking(compose, material, budgeter, counter.count)
        # A continued answer keeps the user message that it was begun with.
        appended = () if known.recorded else await transform(host, query, draft.segments())
        return await host.run_blocking(_finish, request, draft, appended, counter, offers.reports)

    async def _known(self, request: AssemblyRequest, counter: TokenCounter) -> _Known:
        every, unanswered = turns_of(request.path)
        turns = _recent(every, request.model.window * _CHARACTERS_PER_TOKEN)
        answers = [turn.answer_id for turn in turns]
        if request.continuing is not None:
            answers.append(request.answer_id)
        async with self._storage.unit_of_work(readonly=True) as work:
            records = dict(await work.contexts.of_messages(answers)) if answers else {}
            hashes = {item.sha256 for record in records.values() for item in record.user}
            texts = await work.contexts.texts(sorted(hashes)) if hashes else {}
            gone = await _gone(work, request.project.id, list(records.values()))
        own = records.pop(request.answer_id, None)
        build = partial(build_branch, turns, records, texts, counter.count, gone=gone)
        branch = replace(await self._host.run_blocking(build), older=len(every) - len(turns), unanswered=unanswered)
        if own is None:
            return _Known(branch)
        pieces = recorded_user(own, texts, gone=gone)
        return _Known(branch.seen_from(own), own, tuple(p for p in pieces if p.record.kind is not SegmentKind.QUESTION))


async def _gone(work: UnitOfWork, project_id: UUID, records: Sequence[ContextRecord]) -> frozenset[str]:
    """Return the ids of files and pages that earlier turns quote and that are deleted since: they vanish at once."""
    quoted = {(item.origin.type, item.origin.id) for record in records for item in record.user if item.kind in EVIDENCE}
    files = {key for kind, key in quoted if kind == "file"}
    if files:
        files -= {str(file.id) for file in await work.documents.all_files(project_id)}
    pages = {key for kind, key in quoted if kind == "url"}
    if pages:
        pages -= {str(page.id) for page in await work.urls.all(project_id)}
    return frozenset(files | pages)


def _recent(turns: Sequence[HistoryTurn], characters: int) -> list[HistoryTurn]:
    """Return the newest turns that could fit at all, so that a long conversation costs no more than a full window."""
    at = len(turns)
    while at > 0 and characters > 0:
        at -= 1
        characters -= len(turns[at].question) + len(turns[at].answer)
    return list(turns[at:])


def _query(request: AssemblyRequest, known: _Known, budget: Budget) -> ContextQuery:
    history = [turn.history for turn in known.branch.turns]
    last_answer = history[-1].answer if history else ""
    terms = query_terms(request.question, [turn.question for turn in history], last_answer)
    return ContextQuery(
        user_id=request.user_id,
        project_id=request.project.id,
        conversation_id=request.conversation_id,
        question=request.question,
        terms=terms,
        history=tuple(history),
        model=request.model.name,
        evidence_tokens=budget.shares.get("evidence", budget.prompt),
        project_settings=request.project.settings,
        placed=_placed(known.branch),
    )


def _placed(branch: Branch) -> frozenset[str]:
    """Return the ids that the previous prompt held: whole files among its system segments, and the ledger."""
    if branch.ancestor is None:
        return frozenset()
    ids = {item.id for item in branch.ancestor.system}
    for turn in branch.turns[max(evidence_start(branch), branch.index_of(branch.ancestor.history_from)) :]:
        ids.update(piece.record.id for piece in turn.user if piece.text is not None)
    return frozenset(ids - {""})


def _material(request: AssemblyRequest, known: _Known, budget: Budget, ranked: list[Segment]) -> Material:
    offered = [rules_segment(), *ranked]
    if known.recorded:
        offered = [segment for segment in offered if segment.stability is Stability.STATIC]
    begun = request.continuing
    return Material(
        answer_id=request.answer_id,
        question=asked(request.question, str(request.question_id or "")),
        offered=tuple(offered),
        branch=known.branch,
        budget=budget,
        recorded=known.recorded,
        partial=spoken(begun.text, sender="llm", message_id=str(begun.id)) if begun and begun.text else None,
    )


def _finish(
    request: AssemblyRequest,
    draft: Draft,
    appended: Sequence[Segment],
    counter: TokenCounter,
    reports: Sequence[SourceReport],
) -> Assembly:
    material = draft.material
    finished = complete(draft, appended, counter.count)
    reuse = compare(material.branch, finished, request.model.name)
    if counter.faults:
        reports = (*reports, SourceReport("tokenizer", faults=tuple(counter.faults)))
    unanswered = material.branch.unanswered
    record, texts = make_record(
        request, finished, material.budget, reuse, reports, unanswered=unanswered, count=counter.count
    )
    budget, prompt = material.budget, finished.prompt
    wanted = request.max_answer_tokens or request.model.max_answer_tokens
    room = budget.window - budget.safety - prompt.tokens
    return Assembly(
        messages=prompt.messages(),
        segments=tuple(piece.as_segment() for piece in prompt.pieces() if piece.text is not None),
        record=record,
        texts=texts,
        summary=make_summary(record, finished, unanswered),
        max_answer_tokens=max(budget.reserve, min(wanted, room)),
    )
