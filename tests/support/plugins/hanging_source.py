"""A plugin whose context source never answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from eudai_core.contracts import ContextSource, PluginContext, Registrar
from eudai_core.hooks import hookimpl
from eudai_core.model import ContextQuery, Segment

__all__ = ["plugin", "source"]


class _Source:
    async def collect(self, query: ContextQuery) -> Sequence[Segment]:
        await asyncio.Event().wait()
        return []


def source(context: PluginContext) -> ContextSource:
    return _Source()


class HangingSource:
    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_context_sources(self, register: Registrar[ContextSource]) -> None:
        register("hanging", "support.plugins.hanging_source:source")


plugin = HangingSource()
