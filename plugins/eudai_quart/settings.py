"""The settings of the section ``quart``."""

from __future__ import annotations

from dataclasses import dataclass

from eudai_core.settings import setting

__all__ = ["QuartSettings"]


@dataclass(frozen=True, slots=True)
class QuartSettings:
    """Where plugins may put their routes."""

    grants: tuple[str, ...] = setting(
        ("eudai-webapp=/", "eudai-openai=/v1"),
        "Path prefixes that plugins may use besides /api/x/PLUGIN/, each as PLUGIN=PREFIX.",
    )
