"""Health checks."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from eudai_core.model import Health

__all__ = ["HealthCheck"]


@runtime_checkable
class HealthCheck(Protocol):
    """Tells how one part is."""

    @property
    def critical(self) -> bool:
        """Whether the server cannot serve without this part."""
        ...

    async def check(self) -> Health:
        """Look, within two seconds."""
        ...
