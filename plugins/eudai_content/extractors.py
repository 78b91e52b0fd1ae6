"""Which media types are read, and by which function. Nothing of this reads a file: the child process does."""

from __future__ import annotations

from dataclasses import dataclass

from eudai_core.contracts import PluginContext

__all__ = ["Extractor", "markdown", "text"]


@dataclass(frozen=True, slots=True)
class Extractor:
    """A text extractor; see eudai_core.contracts.TextExtractor."""

    media_types: frozenset[str]
    target: str


def text(context: PluginContext) -> Extractor:
    """Make the extractor of everything that is text without a better one: prose, source code, data."""
    types = {"text/*", "application/json", "application/xml", "application/yaml", "application/toml", "application/sql"}
    return Extractor(frozenset(types), "eudai_content.text:read")


def markdown(context: PluginContext) -> Extractor:
    """Make the extractor of Markdown, which knows headings."""
    return Extractor(frozenset({"text/markdown"}), "eudai_content.markdown:read")
