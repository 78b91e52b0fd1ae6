"""JSON and times as Go's encoding/json writes them, which is what Ollama's clients read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

__all__ = ["dumps", "prune", "timestamp"]

_ESCAPES = {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
_TABLE = str.maketrans(_ESCAPES)


def dumps(value: Any) -> bytes:
    """Encode ``value`` without spaces, in the order of its keys, with Go's escapes.

    ``<``, ``>``, ``&``, U+2028 and U+2029 are escaped, U+0085 and other characters beyond ASCII are not, and a lone
    surrogate becomes U+FFFD.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_TABLE)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def prune(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out zero values, as ``omitempty`` does: None, 0, empty strings, lists and objects."""
    return {key: item for key, item in value.items() if item}


def timestamp(when: datetime, nanoseconds: int = 0) -> str:
    """Write a time as RFC 3339 with up to nine digits, trailing zeros cut; ``nanoseconds`` adds 0 to 999 of them."""
    utc = when.astimezone(UTC)
    fraction = f"{utc.microsecond * 1000 + nanoseconds:09}".rstrip("0")
    return f"{utc:%Y-%m-%dT%H:%M:%S}{'.' + fraction if fraction else ''}Z"
