"""Values that are never shown."""

from __future__ import annotations

import hmac
from typing import Final, Generic, NoReturn, Self, TypeVar, final

__all__ = ["REDACTED", "Secret"]

T = TypeVar("T")

REDACTED: Final = "********"
"""What stands wherever a secret would."""


@final
class Secret(Generic[T]):
    """Holds a value that ``reveal`` alone gives out: not ``repr``, ``str``, ``format``, ``vars`` or ``pickle``.

    Two secrets are equal when their values are; text is compared in constant time.
    """

    __slots__ = ("__value",)

    def __init__(self, value: T) -> None:
        """Hide ``value``."""
        self.__value = value

    def reveal(self) -> T:
        """Return the value. Call this as late as possible and keep no copy."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({REDACTED!r})"

    def __str__(self) -> str:
        return REDACTED

    def __format__(self, spec: str) -> str:
        return REDACTED

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = self.__value, other.reveal()
        if isinstance(mine, str) and isinstance(theirs, str):
            return hmac.compare_digest(mine.encode(), theirs.encode())
        return bool(mine == theirs)

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    # A copy is the same secret, so that dataclasses.asdict and deepcopy work without showing anything.
    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: its value would leave the process")
