"""How a check says that a sentence of the contract is not kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from eudai_core.testing.llm_checks import BrokenContract

__all__ = ["BrokenContract", "must", "must_equal", "refuses"]

_SHOWN = 600


def must(kept: object, sentence: str) -> None:
    """Raise BrokenContract with ``sentence`` unless ``kept`` is true."""
    if not kept:
        raise BrokenContract(f"not kept: {sentence}")


def must_equal(found: object, expected: object, sentence: str) -> None:
    """Raise BrokenContract unless both are the same, whatever kind of sequence or mapping holds their parts."""
    first, second = _plain(found), _plain(expected)
    if first != second:
        raise BrokenContract(f"not kept: {sentence}\n  found    {_shown(first)}\n  expected {_shown(second)}")


@contextmanager
def refuses(kind: type[Exception], sentence: str) -> Iterator[None]:
    """Raise BrokenContract unless the block raises ``kind``."""
    try:
        yield
    except kind:
        return
    except Exception as error:
        raise BrokenContract(f"not kept: {sentence}; it raised {type(error).__name__}") from error
    raise BrokenContract(f"not kept: {sentence}; nothing was raised")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
