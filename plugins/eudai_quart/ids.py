"""Ids in paths: ``<id:project_id>`` gives a UUID; what is none is told after the guard, as invalid data."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from werkzeug.routing import BaseConverter

__all__ = ["BadId", "IdConverter", "parse_id"]

_FORM: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class BadId(str):
    """What stood in a path where an id belongs."""

    __slots__ = ()


class IdConverter(BaseConverter):
    """Reads an id in the one form that the server writes."""

    regex = "[^/]+"

    def to_python(self, value: str) -> UUID | BadId:
        """Return the id; a bad one is kept for the guard, which answers 400 where routing would answer 404."""
        return parse_id(value) or BadId(value)


def parse_id(text: str) -> UUID | None:
    """Return the id that a text is, or None."""
    return UUID(text) if _FORM.fullmatch(text) else None
