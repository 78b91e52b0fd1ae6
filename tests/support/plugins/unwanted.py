"""A plugin that operators deny: that it was imported can be seen in ``sys.modules``."""

from __future__ import annotations

__all__ = ["plugin"]


class Unwanted:
    eudai_api = (0, 1)


plugin = Unwanted()
