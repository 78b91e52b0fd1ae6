"""What all repositories share."""

from __future__ import annotations

from uuid import UUID

from eudai_core.errors import NotFound
from eudai_sql.transaction import Transaction

__all__ = ["Repository", "missing"]


class Repository:
    """Statements of one concern, run in one transaction."""

    __slots__ = ("_tx",)

    def __init__(self, transaction: Transaction) -> None:
        """Work in ``transaction``."""
        self._tx = transaction


def missing(what: str, key: UUID) -> NotFound:
    """Return the error for an object that is not there."""
    return NotFound(f"There is no {what} {key}.")
