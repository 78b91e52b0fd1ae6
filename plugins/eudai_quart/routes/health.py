"""How the server is; open to all."""

from __future__ import annotations

import asyncio

from quart import Blueprint, Response

from eudai_quart.context import application
from eudai_quart.guard import optional_caller
from eudai_quart.openapi.operation import Answer, operation
from eudai_quart.respond import answer
from eudai_quart.wire.answers import Alive, Check, Health, Plugin
from eudai_quart.wire.decode import query
from eudai_quart.wire.requests import Empty

__all__ = ["blueprint"]

blueprint = Blueprint("health", __name__)


@blueprint.get("/api/health")
@operation(Answer(Health), Answer(Health, 503), knows_caller=True)
async def health() -> Response:
    """Tell whether the server can serve; admins are told more."""
    query(Empty)
    app = application()
    report, asking = await asyncio.gather(app.health(), optional_caller())
    body = Health(report.status, app.version, {name: Check(check.status) for name, check in report.checks.items()})
    if asking is not None and asking.is_admin:
        body.checks = {name: Check(check.status, check.detail) for name, check in report.checks.items()}
        body.plugins = [Plugin.of(state) for state in report.plugins]
    return answer(body, 200 if report.serving else 503)


@blueprint.get("/api/health/live")
@operation(Answer(Alive))
async def live() -> Response:
    """Tell that the event loop turns."""
    return answer(Alive())
