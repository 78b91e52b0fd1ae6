"""The control endpoint ``/_script``: a test in another process scripts the server and reads what came.

``GET`` returns ``{"requests": [{method, path, body, status, left}], "loads": [{model, num_ctx, shift}]}``. ``POST``
takes one order, or a list of orders that are done one after the other:

``{"reply": {…}, "model": name?}``   queue a reply (see eudai_core.testing.scripted_ollama.reply_from_json)
``{"hold": gate}``, ``{"release": gate}``
``{"pace": pieces a second or null}``
``{"install": {"name": …, …}}``, ``{"remove": name}``
``{"fail": path, "status": 500, "error": text?}``, ``{"mend": path}``
``{"wedge": name}``, ``{"reset": true}``
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eudai_core.testing._ollama.library import ScriptedModel
from eudai_core.testing._ollama.reply import reply_from_json

if TYPE_CHECKING:
    from eudai_core.testing.scripted_ollama import ScriptedOllama

__all__ = ["obey", "report"]


def report(server: ScriptedOllama) -> dict[str, Any]:
    """Return what came and what was loaded, as JSON values."""
    requests = [
        {"method": seen.method, "path": seen.path, "body": seen.body, "status": seen.status, "left": seen.left}
        for seen in server.requests
    ]
    loads = [{"model": load.model, "num_ctx": load.num_ctx, "shift": load.shift} for load in server.loads]
    return {"requests": requests, "loads": loads}


def obey(server: ScriptedOllama, order: Mapping[str, Any]) -> None:
    """Do one order.

    Raises:
        ValueError: it is none.
        TypeError: its members have wrong names.
        LookupError: it names a model that is not loaded.
    """
    match order:
        case {"reply": dict(reply)}:
            server.script(reply_from_json(reply), model=order.get("model"))
        case {"hold": str(gate)}:
            server.hold(gate)
        case {"release": str(gate)}:
            server.release(gate)
        case {"pace": pace}:
            server.pace = pace
        case {"fail": str(path)}:
            server.fail(path, int(order.get("status", 500)), order.get("error"))
        case {"mend": str(path)}:
            server.mend(path)
        case {"reset": True}:
            server.reset()
        case _:
            _obey_about_models(server, order)


def _obey_about_models(server: ScriptedOllama, order: Mapping[str, Any]) -> None:
    match order:
        case {"install": dict(model)}:
            server.install(_model(model))
        case {"remove": str(name)}:
            server.remove(name)
        case {"wedge": str(name)}:
            server.wedge(name)
        case _:
            raise ValueError(f"no such order: {sorted(order)}")


def _model(members: Mapping[str, Any]) -> ScriptedModel:
    values = dict(members)
    if "capabilities" in values:
        values["capabilities"] = tuple(values["capabilities"])
    return ScriptedModel(**values)
