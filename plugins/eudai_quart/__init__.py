"""The surface: REST, WebSocket and server-sent events on Quart, served by Hypercorn; the commands serve and demo.

Only names stand here: neither Quart nor Hypercorn is imported before a server is started.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from eudai_core.hooks import hookimpl

if TYPE_CHECKING:
    from eudai_core.contracts import SettingsRegistrar

__all__ = ["QuartPlugin", "plugin"]


class QuartPlugin:
    """Brings the hook through which other plugins add routes."""

    eudai_api = (0, 1)

    @hookimpl
    def eudai_add_hookspecs(self) -> ModuleType:
        """Bring ``eudai_register_blueprints``."""
        from eudai_quart import hookspecs

        return hookspecs

    @hookimpl
    def eudai_register_settings(self, register: SettingsRegistrar) -> None:
        """Register the section ``quart``."""
        from eudai_quart.settings import QuartSettings

        register("quart", QuartSettings)


plugin = QuartPlugin()
