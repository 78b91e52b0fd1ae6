"""Projects, and the pages that lists are given in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

__all__ = ["Page", "Project", "ProjectCounts"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, newest first unless said otherwise; ``next`` is the cursor of what follows, or None."""

    items: Sequence[T]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectCounts:
    """How many things a project holds."""

    files: int = 0
    urls: int = 0
    instructions: int = 0
    conversations: int = 0


@dataclass(frozen=True, slots=True)
class Project:
    """What holds instructions, files, web pages and conversations.

    ``settings`` may have ``model``, ``overflow`` and ``retention_days``.
    """

    id: UUID
    owner_id: UUID
    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    settings: Mapping[str, Any] = field(default_factory=dict)
    counts: ProjectCounts = ProjectCounts()
    version: int = 1
