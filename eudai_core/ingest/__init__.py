"""Ingest: the chain of a document from its bytes to passages that answers can use.

A stored version waits as a job; the job copies the bytes, has them read in a child process, joins the blocks to one
text, cuts it into passages, indexes them and stores the outcome. No plugin calls the next step.
"""

from eudai_core.ingest.extraction import (
    ExtractionLimits,
    extract,
)
from eudai_core.ingest.handler import (
    IngestHandler,
)
from eudai_core.ingest.ingest import (
    INGEST_JOB,
    Ingest,
)
from eudai_core.ingest.media_type import (
    sniff,
)

__all__ = ["INGEST_JOB", "ExtractionLimits", "Ingest", "IngestHandler", "extract", "sniff"]
