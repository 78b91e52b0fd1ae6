"""Making answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from quart import Response, request

__all__ = ["answer", "created", "encoded", "nothing"]

_encoder = msgspec.json.Encoder()


def encoded(body: Any) -> bytes:
    """Return ``body`` as the bytes that answers send."""
    return _encoder.encode(body)


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``body`` as JSON."""
    response = Response(encoded(body), status, content_type="application/json")
    if headers:
        response.headers.update(headers)
    return response


def created(body: Any, object_id: UUID, headers: Mapping[str, str] | None = None) -> Response:
    """Return 201 with ``body``, the new object, and its address: that of its list, which was posted to, and its id."""
    return answer(body, 201, {**(headers or {}), "Location": f"{request.path.rstrip('/')}/{object_id}"})


def nothing() -> Response:
    """Return 204."""
    response = Response(b"", 204)
    del response.headers["Content-Type"]
    del response.headers["Content-Length"]
    return response
