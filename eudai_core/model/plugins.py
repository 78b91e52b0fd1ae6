"""How the plugins are doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["MigrationSource", "PluginState", "PluginStatus"]


class PluginStatus(StrEnum):
    """Where in its life a plugin stands."""

    DISABLED = "disabled"
    FAILED = "failed"
    LOADED = "loaded"
    NOT_READY = "not_ready"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True)
class PluginState:
    """One plugin as operators see it. ``faults`` counts failed calls per hook or contract since the start."""

    name: str
    distribution: str
    version: str
    status: PluginStatus
    detail: str = ""
    import_ms: float = 0.0
    hooks: Sequence[str] = ()
    faults: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MigrationSource:
    """A linear history of Alembic revisions: ``package`` holds ``versions``; ``depends_on`` names other branches."""

    branch: str
    package: str
    depends_on: Sequence[str] = ()
