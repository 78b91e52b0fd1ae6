"""In which encoding a text file is.

A byte order mark decides. Without one it is UTF-8 when all of it is valid UTF-8, which other text practically never
is; else it is taken for Windows-1252, or Latin-1 where that has no character, so that every byte means something.
The file is read in pieces: its size costs no memory.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from eudai_core.errors import BadFile

__all__ = ["detect", "open_text"]

_PIECE: Final = 1 << 20
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16, so it is asked first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNDEFINED_IN_CP1252: Final = b"\x81\x8d\x8f\x90\x9d"
_CONTROLS: Final = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\b\x1b") + b"\x7f"
_MAX_CONTROL_SHARE: Final = 0.05


def detect(path: str) -> str:
    """Return the name of the codec that reads the file.

    Raises:
        BadFile: it holds NUL bytes, or too many control characters to be text.
    """
    with open(path, "rb") as file:
        head = file.read(4)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    return _without_mark(path)


@contextmanager
def open_text(path: str) -> Iterator[TextIO]:
    """Open a text file whatever its encoding; all line ends come as a single line feed.

    Raises:
        BadFile: on entering when it is no text, while reading when it breaks the encoding that its mark promised.
    """
    encoding = detect(path)
    with open(path, encoding=encoding, newline=None) as file:
        try:
            yield file
        except UnicodeError as error:
            raise BadFile(f"The text is damaged: it is not valid {encoding.upper().removesuffix('-SIG')}.") from error


def _without_mark(path: str) -> str:
    utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
    cp1252 = True
    size = controls = 0
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            if b"\0" in piece:
                raise BadFile("This is a binary file, not text: it holds NUL bytes.")
            size += len(piece)
            controls += len(piece) - len(piece.translate(None, _CONTROLS))
            utf8 = utf8 if utf8 and _accepts(utf8, piece) else None
            cp1252 = cp1252 and len(piece.translate(None, _UNDEFINED_IN_CP1252)) == len(piece)
    if controls > size * _MAX_CONTROL_SHARE:
        raise BadFile("This is a binary file, not text: much of it is control characters.")
    if utf8 and _accepts(utf8, b"", final=True):
        return "utf-8"
    return "cp1252" if cp1252 else "latin-1"


def _accepts(decoder: codecs.IncrementalDecoder, piece: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError:
        return False
    return True
