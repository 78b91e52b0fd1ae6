"""Cross-origin requests (the Fetch standard): none, but from the origins in EUDAI_ALLOWED_ORIGINS.

Those are compared whole, never by a pattern, and may use the web cookie: that is what the setting is for. Without the
setting no answer has any header of this.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from quart import Request, Response
from werkzeug.datastructures import HeaderSet

from eudai_core.errors import ConfigError

__all__ = ["Origins"]

METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
TAKEN: Final = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, If-Range, Last-Event-ID, Range"
)
GIVEN: Final = (
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Location, Retry-After, WWW-Authenticate, "
    "X-Request-Id"
)
REMEMBERED_S: Final = 600


class Origins:
    """The origins whose pages may read answers."""

    def __init__(self, allowed: Collection[str]) -> None:
        """Take the setting.

        Raises:
            ConfigError: one of them is no origin.
        """
        self._allowed: Final = frozenset(_origin(text) for text in allowed)

    def preflight(self, request: Request) -> Response | None:
        """Return the answer to a browser that asks whether its page may send a request, or None for anything else."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        if not self._knows(request):
            return None
        response = Response(b"", 204)
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = TAKEN
        response.headers["Access-Control-Max-Age"] = str(REMEMBERED_S)
        return response

    def finish(self, request: Request, response: Response) -> None:
        """Add to an answer what lets the page of an allowed origin read it."""
        if not self._allowed:
            return
        vary: HeaderSet = response.vary
        vary.add("Origin")
        if self._knows(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Access-Control-Expose-Headers"] = GIVEN

    def _knows(self, request: Request) -> bool:
        return request.headers.get("Origin", "").lower() in self._allowed


def _origin(text: str) -> str:
    """Return an origin as browsers send it."""
    origin = text.strip().lower().rstrip("/")
    try:
        parts = urlsplit(origin)
        good = bool(parts.hostname) and parts.port is not False
    except ValueError:
        good = False
    if not good or origin != f"{parts.scheme}://{parts.netloc}" or "@" in origin or "*" in origin:
        raise ConfigError(
            f"EUDAI_ALLOWED_ORIGINS: {text!r} is no origin: give scheme, host and perhaps port, as https://chat.example."
        )
    return origin
