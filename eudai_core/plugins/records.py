"""What the host remembers of each plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eudai_core.model import PluginState, PluginStatus

__all__ = ["PluginRecord"]


@dataclass(slots=True, eq=False)
class PluginRecord:
    """One plugin in this host: where it comes from, and how far it came.

    ``loaded`` says that the object was imported and is, or was, registered. ``problem`` is what operators are told.
    """

    name: str
    distribution: str = ""
    version: str = ""
    status: PluginStatus = PluginStatus.LOADED
    problem: str = ""
    import_ms: float = 0.0
    hooks: tuple[str, ...] = ()
    plugin: object | None = None
    waiting: dict[str, str] = field(default_factory=dict)
    """Objects that are not ready yet, by role and name, with the reason."""

    @property
    def alive(self) -> bool:
        """Whether the plugin takes part."""
        return self.plugin is not None and self.status not in (PluginStatus.FAILED, PluginStatus.DISABLED)

    def disable(self, reason: str) -> None:
        """Keep the plugin out on the operator's wish."""
        self.status, self.problem = PluginStatus.DISABLED, reason

    def fail(self, reason: str) -> None:
        """Keep the plugin out because it broke a rule; the first reason stays."""
        if self.status is not PluginStatus.FAILED:
            self.status, self.problem = PluginStatus.FAILED, reason

    def state(self, *, faults: Mapping[str, int], degraded: str) -> PluginState:
        """Return the plugin as operators see it; ``degraded`` is why it is, or empty."""
        status, detail = self.status, self.problem
        if self.alive and self.waiting:
            status = PluginStatus.NOT_READY
            detail = "; ".join(f"{what}: {reason}" for what, reason in self.waiting.items())
        elif self.alive and (degraded or self.problem):
            status, detail = PluginStatus.DEGRADED, degraded or self.problem
        return PluginState(
            name=self.name,
            distribution=self.distribution,
            version=self.version,
            status=status,
            detail=detail,
            import_ms=round(self.import_ms, 1),
            hooks=self.hooks,
            faults=faults,
        )
