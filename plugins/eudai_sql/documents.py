"""Files, document versions and instructions."""

from __future__ import annotations

from eudai_sql.files import FileRows
from eudai_sql.instructions import InstructionRows

__all__ = ["SqlDocuments"]


class SqlDocuments(FileRows, InstructionRows):
    """See eudai_core.contracts.Documents."""

    __slots__ = ()
