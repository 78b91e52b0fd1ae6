"""The health check ``ollama``."""

from __future__ import annotations

from eudai_core.contracts import PluginContext
from eudai_core.model import Health, HealthStatus

__all__ = ["OllamaHealthCheck", "make_health_check"]


class OllamaHealthCheck:
    """Asks the backend ``ollama``. Without it the server still serves, so it is not critical."""

    critical = False

    def __init__(self, context: PluginContext) -> None:
        self._context = context

    async def check(self) -> Health:
        """Tell how Ollama is, within two seconds."""
        backend = self._context.backends.get("ollama")
        if backend is None:
            return Health(HealthStatus.DOWN, "The backend is not running; the list of plugins says why.")
        return await backend.health()


def make_health_check(context: PluginContext) -> OllamaHealthCheck:
    """Make the check."""
    return OllamaHealthCheck(context)
