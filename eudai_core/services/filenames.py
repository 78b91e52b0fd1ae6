"""Names of files: what people call them. They are data, and never a path."""

from __future__ import annotations

from typing import Final

from eudai_core.errors import BadFile, InvalidInput
from eudai_core.services.fields import check_text, invalid

__all__ = ["FILENAME_LENGTH", "checked_filename", "uploaded_filename"]

FILENAME_LENGTH: Final = 255


def checked_filename(name: str) -> str:
    """Return the name of a file: data, never a path.

    Raises:
        InvalidInput: it cannot be one.
    """
    check_text("$.filename", name, longest=FILENAME_LENGTH, shortest=1)
    if name.strip() != name or name in {".", ".."} or any(_is_odd(character) for character in name):
        raise invalid("$.filename", "holds a slash, a control character, outer white space, or only dots")
    return name


def _is_odd(character: str) -> bool:
    return character in "/\\\x7f" or ord(character) < 32


def uploaded_filename(name: str) -> str:
    """Return the name of a file that comes in.

    Raises:
        BadFile: it cannot be one.
    """
    # Browsers and tools may send a whole path: the last component is the name.
    last = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    try:
        return checked_filename(last)
    except InvalidInput as error:
        raise BadFile(f"The file name cannot be used: {error.detail}", errors=error.errors) from error
