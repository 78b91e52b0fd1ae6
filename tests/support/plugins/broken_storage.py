"""A storage plugin whose factory fails."""

from __future__ import annotations

from typing import Any

from eudai_core.hooks import hookimpl

__all__ = ["factory", "plugin"]


def factory(context: Any) -> Any:
    raise OSError("the disk is gone")


class BrokenStorage:
    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_storage(self, register: Any) -> None:
        register("sql", "support.plugins.broken_storage:factory")


plugin = BrokenStorage()
