"""The headers that the documents speak of: those that routes take, and those that answers carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["GIVEN", "TAKEN"]


def _taken(name: str, description: str, example: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


def _given(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": schema or {"type": "string"}}


TAKEN: Final[Mapping[str, dict[str, Any]]] = {
    "Idempotency-Key": _taken(
        "Idempotency-Key",
        "Makes it safe to send again for 24 hours: one object and one answer come of it. 1 to 255 visible ASCII "
        "characters that no other request has; one that does is 409.",
        "5c8c6c4e-7f0b-4f6e-9d4b-0a6f2e1d3c55",
    ),
    "If-Match": _taken(
        "If-Match", "The `ETag` that was read: nothing is changed when somebody else was faster, which is 412.", '"v3"'
    ),
    "If-None-Match": _taken("If-None-Match", "An `ETag` that is there already: when it is the newest, 304.", '"5f7a"'),
    "If-Range": _taken("If-Range", "An `ETag`: when it is not the newest, `Range` is ignored.", '"5f7a"'),
    "Last-Event-ID": _taken(
        "Last-Event-ID", "The number of the last event that was seen, sent by browsers; wins over `after`.", "42"
    ),
    "Range": _taken("Range", "One range of bytes; anything else gives the whole file.", "bytes=0-1023"),
}
"""The parameters that a route names in ``takes``."""

GIVEN: Final[Mapping[str, dict[str, Any]]] = {
    "Accept-Ranges": _given("`bytes`: parts can be asked for.", const="bytes"),
    "Content-Disposition": _given("Saves the download under its name."),
    "Content-Range": _given("Which bytes of how many these are."),
    "ETag": _given("The version of the object."),
    "Location": _given("The address of the new object.", type="string", format="uri-reference"),
    "Retry-After": _given("Seconds after which another try makes sense.", type="integer", minimum=1),
    "Set-Cookie": _given("The web cookie, for those who asked for it."),
    "WWW-Authenticate": _given("The scheme of the credentials that are needed.", const="Bearer"),
    "X-Request-Id": _given("The request's id, which the log has too."),
}
"""The headers that an answer names in ``headers``; X-Request-Id is in every answer."""
