"""Cutting a byte stream into lines."""

from __future__ import annotations

__all__ = ["LineTooLongError", "Lines"]

_MAX_LINE = 1024 * 1024


class LineTooLongError(ValueError):
    """A line is longer than any that Ollama sends."""


class Lines:
    r"""Cuts at ``\n`` and nowhere else: U+0085 and U+2028 are text inside a line, unlike for ``str.splitlines``."""

    __slots__ = ("_limit", "_rest")

    def __init__(self, limit: int = _MAX_LINE) -> None:
        """Allow lines of at most ``limit`` bytes."""
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete now, without those that are empty.

        Raises:
            LineTooLongError: a line passes the limit.
        """
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        # A read is far below the limit, so only what was put together can pass it.
        if len(self._rest) > self._limit or (lines and len(lines[0]) > self._limit):
            raise LineTooLongError(f"a line of more than {self._limit} bytes")
        return [line for line in lines if line and not line.isspace()]

    def rest(self) -> bytes:
        """Return what came after the last line end, which is a line of its own at the end of the stream."""
        rest, self._rest = self._rest, b""
        return b"" if rest.isspace() else rest
