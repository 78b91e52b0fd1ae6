"""A plugin that behaves: one context source, made late."""

from __future__ import annotations

from collections.abc import Sequence

from eudai_core.contracts import ContextSource, PluginContext, Registrar
from eudai_core.hooks import hookimpl
from eudai_core.model import ContextQuery, Origin, Segment, SegmentKind, Stability

__all__ = ["plugin", "source"]


class _Source:
    async def collect(self, query: ContextQuery) -> Sequence[Segment]:
        return [Segment(SegmentKind.RULES, "Be kind.", Origin("good", "1"), Stability.STATIC)]


def source(context: PluginContext) -> ContextSource:
    return _Source()


class Good:
    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_context_sources(self, register: Registrar[ContextSource]) -> None:
        register("good", "support.plugins.good:source")


plugin = Good()
