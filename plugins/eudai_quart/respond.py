"""Making answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from quart import Response

__all__ = ["answer", "nothing"]

_encoder = msgspec.json.Encoder()


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``body`` as JSON."""
    response = Response(_encoder.encode(body), status, content_type="application/json")
    if headers:
        response.headers.update(headers)
    return response


def nothing() -> Response:
    """Return 204."""
    response = Response(b"", 204)
    del response.headers["Content-Type"]
    return response
