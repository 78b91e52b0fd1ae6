"""Background work: one runner for each process, over jobs that storage keeps."""

from eudai_core.jobs.retries import (
    TRIES,
)
from eudai_core.jobs.runner import (
    JobRunner,
)

__all__ = ["TRIES", "JobRunner"]
