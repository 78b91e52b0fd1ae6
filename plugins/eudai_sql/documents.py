"""Files, document versions and instructions."""

from __future__ import annotations

from eudai_sql.files import FileRows
from eudai_sql.instructions import InstructionRows
from eudai_sql.versions import VersionRows

__all__ = ["SqlDocuments"]


class SqlDocuments(FileRows, VersionRows, InstructionRows):
    """See eudai_core.contracts.Documents."""

    __slots__ = ()
