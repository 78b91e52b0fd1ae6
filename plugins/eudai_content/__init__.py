"""The default content plugin: a blob store on the local disk, and extractors of plain text and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eudai_core.hooks import hookimpl

if TYPE_CHECKING:
    from eudai_core.contracts import BlobStore, Registrar, TextExtractor

__all__ = ["ContentPlugin", "plugin"]


class ContentPlugin:
    """Registers the blob store ``local`` and the text extractors ``text`` and ``markdown``."""

    eudai_api = (0, 1)

    @hookimpl
    def eudai_register_blob_stores(self, register: Registrar[BlobStore]) -> None:
        """Register ``local``."""
        register("local", "eudai_content.blobs:local_blob_store")

    @hookimpl
    def eudai_register_text_extractors(self, register: Registrar[TextExtractor]) -> None:
        """Register ``text`` and ``markdown``."""
        register("text", "eudai_content.extractors:text")
        register("markdown", "eudai_content.extractors:markdown")


plugin = ContentPlugin()
