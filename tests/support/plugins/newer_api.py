"""A plugin that was written for a server of the future."""

from __future__ import annotations

__all__ = ["plugin"]


class NewerApi:
    eudai_api = (0, 99)


plugin = NewerApi()
