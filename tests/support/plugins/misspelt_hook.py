"""A plugin whose only hook has a letter too few."""

from __future__ import annotations

from typing import Any

from eudai_core.hooks import hookimpl

__all__ = ["plugin"]


class MisspeltHook:
    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_context_source(self, register: Any) -> None:
        register("never", "support.plugins.good:source")


plugin = MisspeltHook()
