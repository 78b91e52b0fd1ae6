"""``GET /api/x/eudai-tally/days``: the counts of whoever asks."""

from __future__ import annotations

from typing import Any, cast

from quart import Blueprint, current_app, g

from eudai_core.app import Application
from eudai_core.model import Identity
from eudai_tally.tally import Tally

__all__ = ["blueprint"]

blueprint = Blueprint("tally", __name__)


@blueprint.get("/days")
async def days() -> dict[str, Any]:
    """List the last 30 days with answers, the newest first."""
    # The guard let nobody in who is not signed in, and says here who it is.
    identity = cast("Identity", g.identity)
    application = cast("Application", current_app.application)  # type: ignore[attr-defined]  # the server's own member
    found = await Tally(application.storage).days(identity.user_id)
    return {
        "items": [
            {
                "day": day.day.isoformat(),
                "answers": day.answers,
                "prompt_tokens": day.prompt_tokens,
                "answer_tokens": day.answer_tokens,
            }
            for day in found
        ]
    }
