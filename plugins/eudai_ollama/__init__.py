"""LLM backend: Ollama, by its HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eudai_core.hooks import hookimpl

if TYPE_CHECKING:
    from eudai_core.contracts import HealthCheckRegistrar, LLMBackend, Registrar, SettingsRegistrar

__all__ = ["OllamaPlugin", "plugin"]


class OllamaPlugin:
    """Registers the backend ``ollama``, its settings and its health check; nothing heavy is imported before that."""

    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_settings(self, register: SettingsRegistrar) -> None:
        """Register the section ``ollama``."""
        from eudai_ollama.settings import OllamaSettings

        register("ollama", OllamaSettings)

    @hookimpl
    def eudai_register_llm_backends(self, register: Registrar[LLMBackend]) -> None:
        """Register the backend."""
        register("ollama", "eudai_ollama.backend:make_backend")

    @hookimpl
    def eudai_register_health_checks(self, register: HealthCheckRegistrar) -> None:
        """Register the check."""
        register("ollama", "eudai_ollama.health:make_health_check")


plugin = OllamaPlugin()
