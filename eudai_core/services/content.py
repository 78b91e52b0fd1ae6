"""What a project knows: its files, its pages, its standing instructions."""

from __future__ import annotations

from dataclasses import dataclass

from eudai_core.services.files import Files
from eudai_core.services.instructions import Instructions
from eudai_core.services.urls import Urls

__all__ = ["Content"]


@dataclass(frozen=True, slots=True)
class Content:
    """The services of a project's content."""

    files: Files
    urls: Urls
    instructions: Instructions
