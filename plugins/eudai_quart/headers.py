"""Headers of every answer, unless a route says otherwise."""

from __future__ import annotations

from typing import Final

from quart import Quart, Response

from eudai_quart.context import request_id

__all__ = ["SANDBOX", "install"]

DEFAULTS: Final = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
SANDBOX: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""The policy for bytes that a user brought: should a browser show them after all, nothing in them runs."""


def install(app: Quart) -> None:
    """Add the headers to every answer, also to refused WebSockets."""
    app.after_request(_finish)
    app.after_websocket(_finish_refusal)  # type: ignore[type-var]  # Quart's own type leaves out the None it passes


async def _finish(response: Response) -> Response:
    present = {name.lower() for name, _ in response.headers}
    for name, value in DEFAULTS:
        if name.lower() not in present:
            response.headers.add(name, value)
    response.headers["X-Request-Id"] = request_id()
    return response


async def _finish_refusal(response: Response | None) -> Response | None:
    return None if response is None else await _finish(response)
