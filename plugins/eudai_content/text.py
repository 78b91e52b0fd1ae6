"""Plain text: the text as it is, with the line on which each block begins. Runs in a child process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TextIO

from eudai_content.encoding import open_text
from eudai_core.errors import BadFile
from eudai_core.model import Block

__all__ = ["lines", "read"]

_BLOCK: Final = 1 << 16


def read(path: str) -> Iterator[Block]:
    """Give the file in blocks of whole lines; put one after the other they are the text, unchanged.

    Raises:
        BadFile: it is binary, or not in the encoding that it says.
    """
    with open_text(path) as file:
        block: list[str] = []
        size, first = 0, 1
        for number, piece in lines(file):
            if size and size + len(piece) > _BLOCK:
                yield Block("".join(block), line=first)
                block, size, first = [], 0, number
            block.append(piece)
            size += len(piece)
        if block:
            yield Block("".join(block), line=first)


def lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """Give each line with its number, its line feed included; a very long line comes in several pieces.

    Raises:
        BadFile: a NUL character, which only the encodings with a byte order mark can hide until here.
    """
    number = 1
    while piece := file.readline(_BLOCK):
        if "\0" in piece:
            raise BadFile("This is a binary file, not text: it holds NUL characters.")
        yield number, piece
        number += piece.endswith("\n")
