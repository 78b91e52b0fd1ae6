"""The backend without a neural network: answers by quoting. What a machine without a model server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eudai_core.hooks import hookimpl

if TYPE_CHECKING:
    from eudai_core.contracts import LLMBackend, Registrar

__all__ = ["ExtractivePlugin", "plugin"]


class ExtractivePlugin:
    """Registers the backend ``extractive``."""

    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_llm_backends(self, register: Registrar[LLMBackend]) -> None:
        """Register ``extractive``."""
        register("extractive", "eudai_extractive.backend:extractive_backend")


plugin = ExtractivePlugin()
