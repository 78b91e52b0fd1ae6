"""How the server is; open to all."""

from __future__ import annotations

from typing import Any

import msgspec
from quart import Blueprint, Response

from eudai_quart.context import application
from eudai_quart.guard import optional_caller
from eudai_quart.respond import answer
from eudai_quart.wire.decode import query
from eudai_quart.wire.requests import Empty

__all__ = ["blueprint"]

blueprint = Blueprint("health", __name__)


@blueprint.get("/api/health")
async def health() -> Response:
    """Tell whether the server can serve; admins are told more."""
    query(Empty)
    app = application()
    report = await app.health()
    body: dict[str, Any] = {
        "status": report.status,
        "version": app.version,
        "checks": {name: {"status": str(check.status)} for name, check in report.checks.items()},
    }
    asking = await optional_caller()
    if asking is not None and asking.is_admin:
        body["checks"] = msgspec.to_builtins(report.checks)
        body["plugins"] = msgspec.to_builtins(report.plugins)
    return answer(body, 200 if report.serving else 503)


@blueprint.get("/api/health/live")
async def live() -> Response:
    """Tell that the event loop turns."""
    return answer({"status": "ok"})
