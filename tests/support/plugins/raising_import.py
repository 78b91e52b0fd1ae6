"""A plugin that cannot be imported."""

from __future__ import annotations

raise RuntimeError("the moon is in the wrong phase")
