"""The default exporters: a conversation as Markdown, as JSON, as a page of HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eudai_core.hooks import hookimpl

if TYPE_CHECKING:
    from eudai_core.contracts import Exporter, Registrar

__all__ = ["ExportPlugin", "plugin"]


class ExportPlugin:
    """Registers the exporters ``markdown``, ``json`` and ``html``."""

    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_exporters(self, register: Registrar[Exporter]) -> None:
        """Register the three formats."""
        register("markdown", "eudai_export.markdown:markdown_exporter")
        register("json", "eudai_export.json:json_exporter")
        register("html", "eudai_export.html:html_exporter")


plugin = ExportPlugin()
