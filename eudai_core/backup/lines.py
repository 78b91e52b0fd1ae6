"""Rows as lines of JSON, and a sum over them that does not depend on their order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from eudai_core.contracts import Row
from eudai_core.errors import ConfigError

__all__ = ["LINE_LIMIT", "RowSum", "line_of", "row_of"]

LINE_LIMIT: Final = 1 << 30
"""The longest line that is written or read, in bytes: what is larger must not be held in memory."""

# Sorted, because PostgreSQL keeps the members of objects in an order of its own.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode


def line_of(row: Row) -> bytes:
    """Return a row as a line: equal rows make equal bytes, whatever database they come from.

    Raises:
        ConfigError: it cannot be written as UTF-8, or is too long.
    """
    try:
        line = f"{_encode(row)}\n".encode()
    except (TypeError, ValueError) as error:
        raise ConfigError("A row holds a value that cannot be written as JSON.") from error
    if len(line) > LINE_LIMIT:
        raise ConfigError(f"A row is longer than {LINE_LIMIT >> 20} MiB, which no backup can hold.")
    return line


def row_of(line: bytes) -> list[Any]:
    """Return the row of a line. Raises ValueError when it is none."""
    row = json.loads(line)
    if not isinstance(row, list):
        raise ValueError("a line is no row")
    return row


class RowSum:
    """How many rows there were, and the sum of the SHA-256 of their lines, modulo 2 to the power of 256.

    Two databases give the rows of a table in different orders; two tables of equal rows have equal sums.
    """

    def __init__(self) -> None:
        """Begin with no rows."""
        self.rows = 0
        self._sum = 0

    def add(self, lines: Iterable[bytes]) -> None:
        """Add rows as lines. Blocking."""
        for line in lines:
            self._sum += int.from_bytes(hashlib.sha256(line).digest())
            self.rows += 1
        self._sum %= 1 << 256

    def add_rows(self, rows: Sequence[Row]) -> None:
        """Add rows. Blocking."""
        self.add(map(line_of, rows))

    @property
    def hexdigest(self) -> str:
        """The sum in hex."""
        return f"{self._sum:064x}"
