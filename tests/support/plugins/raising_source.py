"""A plugin whose context source always raises."""

from __future__ import annotations

from collections.abc import Sequence

from eudai_core.contracts import ContextSource, PluginContext, Registrar
from eudai_core.hooks import hookimpl
from eudai_core.model import ContextQuery, Segment

__all__ = ["plugin", "source"]


class _Source:
    async def collect(self, query: ContextQuery) -> Sequence[Segment]:
        raise ValueError("this source is dry")


def source(context: PluginContext) -> ContextSource:
    return _Source()


class RaisingSource:
    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_context_sources(self, register: Registrar[ContextSource]) -> None:
        register("raising", "support.plugins.raising_source:source")


plugin = RaisingSource()
