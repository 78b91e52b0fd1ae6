"""Numbers as bytes: arrays of the narrowest width that holds them all.

Python reads and writes such arrays at once, in C; numbers of changing widths would take a step of the interpreter for
each. Little-endian on every machine.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate
from operator import sub
from typing import Final

__all__ = ["WIDTHS", "pack", "pack_rising", "unpack", "unpack_rising", "width_code"]

WIDTHS: Final = (1, 2, 4, 8)
"""Bytes of a number, by the code of its width."""
_FORMATS: Final = "BHIQ"


def width_code(most: int) -> int:
    """Return the code of the narrowest width that holds ``most``."""
    return 0 if most < 1 << 8 else 1 if most < 1 << 16 else 2 if most < 1 << 32 else 3


def pack(numbers: Sequence[int], code: int) -> bytes:
    """Return numbers from 0 on as an array of this width."""
    return bytes(numbers) if code == 0 else struct.pack(f"<{len(numbers)}{_FORMATS[code]}", *numbers)


def unpack(data: bytes, code: int, start: int = 0, count: int | None = None) -> Sequence[int]:
    """Return ``count`` numbers of this width from ``start`` on; by default all to the end."""
    if count is None:
        count = (len(data) - start) // WIDTHS[code]
    if code == 0:
        return data[start : start + count]
    return struct.unpack_from(f"<{count}{_FORMATS[code]}", data, start)


def pack_rising(numbers: Sequence[int]) -> bytes:
    """Return strictly rising numbers with their width, as differences."""
    if not numbers:
        return b""
    steps = list(map(sub, numbers[1:], numbers))
    code = width_code(max(steps, default=0))
    return bytes((code,)) + numbers[0].to_bytes(8, "little") + pack(steps, code)


def unpack_rising(data: bytes) -> list[int]:
    """Return what :func:`pack_rising` was given."""
    if not data:
        return []
    return list(accumulate(unpack(data, data[0], 9), initial=int.from_bytes(data[1:9], "little")))
