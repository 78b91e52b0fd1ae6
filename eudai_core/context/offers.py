"""Asking plugins: sources for segments, the ranker for an order, and whoever appends to the user message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from eudai_core.context.assembly import SourceReport
from eudai_core.contracts import ContextRanker, ContextSource
from eudai_core.errors import EudaiError, PluginError
from eudai_core.model import ContextQuery, Segment, SegmentKind, Stability
from eudai_core.plugins import CONTEXT_RANKERS, CONTEXT_SOURCES, PluginHost

__all__ = ["SOURCE_SECONDS", "Offers", "ask_sources", "rank", "transform"]

SOURCE_SECONDS: Final = 2.0
"""How long one source, or the ranker, may take."""

_OFFERED_KINDS: Final = frozenset(SegmentKind) - {SegmentKind.RULES, SegmentKind.HISTORY, SegmentKind.QUESTION}
"""Kinds that a plugin may offer; the others are the core's own."""

_TRANSFORM: Final = "eudai_transform_context"


@dataclass(frozen=True, slots=True)
class Offers:
    """What the sources offered, in the order of their registration, and how each plugin did."""

    segments: tuple[Segment, ...]
    reports: tuple[SourceReport, ...]


async def ask_sources(host: PluginHost, query: ContextQuery) -> Offers:
    """Ask all sources at once. One that faults or is late offers nothing, and its report says so."""
    sources = host.all(CONTEXT_SOURCES)
    answers = await asyncio.gather(*(_ask(host, name, source, query) for name, source in sources.items()))
    segments = tuple(segment for found, _ in answers for segment in found)
    return Offers(segments, _by_plugin(report for _, report in answers))


async def _ask(
    host: PluginHost, name: str, source: ContextSource, query: ContextQuery
) -> tuple[list[Segment], SourceReport]:
    owner = host.owner(CONTEXT_SOURCES, name)

    async def collect() -> list[Segment]:
        return _checked(await source.collect(query))

    found: list[Segment] = []
    faults: list[str] = []
    started = time.perf_counter()
    try:
        found = await host.guard(owner, f"context source {name}", collect, timeout=SOURCE_SECONDS)
    except PluginError as error:
        faults.append(error.detail)
    except EudaiError as error:
        # Part of the contract, so no fault of the plugin's: what it needs is not there. The turn goes on without.
        faults.append(f"{name}: {error.detail}")
    took = round((time.perf_counter() - started) * 1000, 1)
    return [replace(segment, plugin=owner) for segment in found], SourceReport(owner, took, tuple(faults))


def _checked(found: Sequence[Segment]) -> list[Segment]:
    """Return what a source offered as a list.

    Raises:
        PluginError: it is no sequence of segments of kinds that a plugin may offer.
    """
    segments = list(found)
    for segment in segments:
        if not isinstance(segment, Segment):
            raise PluginError(f"it offered {type(segment).__name__} instead of Segment")
        if segment.kind not in _OFFERED_KINDS:
            raise PluginError(f"it offered a segment of kind {segment.kind}, which only the core makes")
    return segments


def _by_plugin(reports: Iterable[SourceReport]) -> tuple[SourceReport, ...]:
    """Join the reports of one plugin's sources; they run side by side, so the slowest counts."""
    joined: dict[str, SourceReport] = {}
    for report in reports:
        known = joined.get(report.name, SourceReport(report.name))
        joined[report.name] = SourceReport(
            report.name, max(known.milliseconds, report.milliseconds), (*known.faults, *report.faults)
        )
    return tuple(joined.values())


async def rank(host: PluginHost, query: ContextQuery, segments: Sequence[Segment]) -> list[Segment]:
    """Return required segments as they are, then the others as the ranker orders them, or by score when it faults."""
    required = [segment for segment in segments if segment.required]
    optional = [segment for segment in segments if not segment.required]
    rankers = host.all(CONTEXT_RANKERS)
    if optional:
        optional.sort(key=lambda segment: -(segment.score or 0.0))
        for name, ranker in rankers.items():
            optional = await _ranked(host, name, ranker, query, optional)
    return required + optional


async def _ranked(
    host: PluginHost, name: str, ranker: ContextRanker, query: ContextQuery, segments: list[Segment]
) -> list[Segment]:
    async def call() -> list[Segment]:
        ranked = list(await ranker.rank(query, tuple(segments)))
        if sorted(map(id, ranked)) != sorted(map(id, segments)):
            raise PluginError("it did not return the segments that it was given")
        return ranked

    owner = host.owner(CONTEXT_RANKERS, name)
    return await _or(host, owner, f"context ranker {name}", call, segments)


async def _or(
    host: PluginHost, owner: str, what: str, call: Callable[[], Awaitable[list[Segment]]], default: list[Segment]
) -> list[Segment]:
    try:
        return await host.guard(owner, what, call, timeout=SOURCE_SECONDS)
    except EudaiError:
        return default  # counted by the host; the order of the scores stays


async def transform(host: PluginHost, query: ContextQuery, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Let plugins append to the user message and return what they appended.

    The host refuses a result that does not begin with the given segments, or appends what is not of stability TURN.
    """
    arguments: dict[str, Any] = {"context": segments, "query": query}
    result = await host.hooks.pipeline(_TRANSFORM, "context", **arguments)
    return tuple(
        replace(segment, plugin=segment.plugin or _TRANSFORM)
        for segment in result[len(segments) :]
        if segment.kind in _OFFERED_KINDS and segment.stability is Stability.TURN
    )
