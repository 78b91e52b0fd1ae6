"""The index of passages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable
from uuid import UUID

from eudai_core.model import SearchDocument, SearchHit, SearchScope

__all__ = ["SearchIndex"]


@runtime_checkable
class SearchIndex(Protocol):
    """Ranks passages by BM25 (Robertson and Zaragoza 2009; k1 1.2, b 0.75) over the terms of eudai_core.text.

    How common a term is, and how long passages are, is counted over the scopes that are searched together and nothing
    else. The ranking depends on what is indexed alone, not on the order in which that came and went; every
    implementation gives the same one.
    """

    async def put(self, documents: Sequence[SearchDocument]) -> None:
        """Index versions of documents, each in place of any other version of it: all or nothing of each.

        Many small ones are stored together. A document whose group is gone by now is left out.

        Raises:
            NotFound: a project is not there.
            Conflict: a document was removed, or put again, while it was stored.
        """
        ...

    async def remove(self, key: UUID) -> None:
        """Forget the document of this id, or every document of this group; none is no error."""
        ...

    async def search(
        self, terms: Mapping[str, float], *, scopes: Sequence[SearchScope], limit: int
    ) -> Sequence[SearchHit]:
        """Return the best passages of some scopes for weighted terms, best first; ties by document, then by number.

        A weight that is not above 0, or no number, leaves its term out; one above 1,000 counts as that.
        """
        ...
