"""The index of passages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable
from uuid import UUID

from eudai_core.model import Passage, SearchHit

__all__ = ["SearchIndex"]


@runtime_checkable
class SearchIndex(Protocol):
    """Ranks passages by BM25 (Robertson and Zaragoza 2009; k1 1.2, b 0.75) over the terms of eudai_core.text.

    Every implementation gives the same ranking for the same content.
    """

    async def put(
        self, project_id: UUID, document_id: UUID, version: int, name: str, passages: Sequence[Passage]
    ) -> None:
        """Index a version of a document in place of any other version of it; all or nothing."""
        ...

    async def remove(self, document_id: UUID) -> None:
        """Forget a document; one that is not there is no error."""
        ...

    async def search(self, terms: Mapping[str, float], *, project_id: UUID, limit: int) -> Sequence[SearchHit]:
        """Return the best passages of a project for weighted terms, best first; ties by document, then by number."""
        ...
