"""The SQL text of a plugin: its parameters, and what kind of statement it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from eudai_core.errors import PluginError

__all__ = ["PluginText", "read_text"]

_KEPT: Final = 1000
_READS: Final = frozenset({"select", "with", "values"})
_WRITES: Final = frozenset({"insert", "update", "delete", "merge", "replace"})
# PostgreSQL writes in a "with", too, and "select into" makes a table. "replace" is a function as well.
_WRITING_WORDS: Final = frozenset({"insert", "update", "delete", "merge", "into"})

_PIECE: Final = re.compile(
    r"""
      (?P<quoted>
          [eE]'(?:[^'\\]|\\.|'')*'        # a string of PostgreSQL with escapes
        | '(?:[^']|'')*'
        | "(?:[^"]|"")*"
        | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$  # a string of PostgreSQL in dollars
      )
    | (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<cast> :: )
    | (?<![:\w]):(?P<name>[^\W\d]\w*)
    | (?P<colon> : )
    | (?P<end> ; )
    | (?P<word> [^\W\d]\w* )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class PluginText:
    """A statement: ``text`` with every colon escaped that begins no parameter, as SQLAlchemy's ``text()`` wants it."""

    text: str
    names: frozenset[str]
    reads_only: bool


@lru_cache(_KEPT)
def read_text(text: str) -> PluginText:
    """Read a statement.

    Raises:
        PluginError: it neither reads nor writes rows, or is more than one.
    """
    names: set[str] = set()
    words: list[str] = []

    def escape(found: re.Match[str]) -> str:
        piece = found[0]
        if found["name"] is not None:
            names.add(found["name"])
        elif found["word"] is not None or found["end"] is not None:
            words.append(piece.lower())
        elif found["cast"] is not None:
            return " ::"  # apart from a parameter before it, which SQLAlchemy would not see
        else:
            return piece.replace(":", "\\:")
        return piece

    escaped = _PIECE.sub(escape, text)
    first = words[0] if words else ""
    if first not in _READS | _WRITES:
        raise PluginError(
            f"a statement of a plugin reads or writes rows, and cannot begin with {first or 'nothing'!r}: "
            "tables are made by migrations, and the unit of work ends the transaction"
        )
    if ";" in words[:-1]:
        raise PluginError("a plugin gave several statements in one text: give one after the other")
    return PluginText(escaped, frozenset(names), first in _READS and _WRITING_WORDS.isdisjoint(words))
