"""Ranges of a file (RFC 9110, section 14): one range of bytes; anything else gives the whole file."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from werkzeug.exceptions import RequestedRangeNotSatisfiable

__all__ = ["attachment", "wanted"]

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte and the number of bytes asked for, or None for the whole file.

    Raises:
        RequestedRangeNotSatisfiable: the range lies outside the file.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None  # not a range at all, so to be ignored
    if start >= size or start >= end:
        raise RequestedRangeNotSatisfiable(length=size)
    return start, end - start


def attachment(filename: str) -> str:
    """Return the Content-Disposition that saves a download under ``filename`` (RFC 6266, with RFC 8187 for Unicode)."""
    plain = "".join(char if 32 <= ord(char) < 127 and char not in '"\\%;' else "_" for char in filename)
    encoded = quote(filename.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
