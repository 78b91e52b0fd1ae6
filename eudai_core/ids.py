"""Ids: UUIDs of version 7 (RFC 9562, section 5.7), sortable by creation."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID

__all__ = ["new_id"]

_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """Return a new id; ids made by one process rise strictly.

    The 12 bits after the milliseconds hold a fraction of the millisecond (method 3 of section 6.2), raised by one
    where two ids would fall together.
    """
    global _last  # noqa: PLW0603 one counter a process is what makes its ids rise
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    stamp = (milliseconds << 12) | (rest * 4096 // 1_000_000)
    with _lock:
        stamp = _last = max(stamp, _last + 1)
    value = (stamp >> 12 & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64
    value |= 0b10 << 62 | int.from_bytes(os.urandom(8)) & 0x3FFFFFFFFFFFFFFF
    return UUID(int=value)
