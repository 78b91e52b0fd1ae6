"""Headers of every answer, unless a route says otherwise."""

from __future__ import annotations

from typing import Final

from quart import Quart, Response, request

from eudai_quart.context import request_id
from eudai_quart.cors import Origins

__all__ = ["DEFAULTS", "SANDBOX", "install"]

DEFAULTS: Final = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
BODILESS: Final = frozenset({204, 304})
"""Statuses whose answers have no body: its length is said neither (RFC 9110, section 8.6)."""
SANDBOX: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""The policy for bytes that a user brought: should a browser show them after all, nothing in them runs."""


def install(app: Quart, pages: Origins) -> None:
    """Add the headers to every answer, also to refused WebSockets."""

    async def finish(response: Response) -> Response:
        pages.finish(request, response)
        return _finished(response)

    async def finish_refusal(response: Response | None) -> Response | None:
        return None if response is None else _finished(response)

    app.after_request(finish)
    app.after_websocket(finish_refusal)  # type: ignore[type-var]  # Quart's own type leaves out the None it passes


def _finished(response: Response) -> Response:
    if response.status_code in BODILESS:
        response.headers.pop("Content-Length", None)
        response.headers.pop("Content-Type", None)
    present = {name.lower() for name, _ in response.headers}
    for name, value in DEFAULTS:
        if name.lower() not in present:
            response.headers.add(name, value)
    response.headers["X-Request-Id"] = request_id()
    return response
