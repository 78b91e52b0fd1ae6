"""Keeping the search index in step with what is said: messages are indexed behind the back of the turns, and removed.

Documents are indexed by eudai_core.ingest.
"""

from eudai_core.search.indexer import (
    MessageIndexer,
)
from eudai_core.search.removal import (
    REMOVAL_JOB,
    SearchRemoval,
)

__all__ = ["REMOVAL_JOB", "MessageIndexer", "SearchRemoval"]
