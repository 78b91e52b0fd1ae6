"""What the core's hooks may return: anything else is a fault of the plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from eudai_core.model import Decision, Stability

__all__ = ["check_decision", "result_check"]

Check = Callable[[Any], str]


def check_decision(result: Any) -> str:
    """Say what is wrong with a vote, or an empty text."""
    return "" if result is None or isinstance(result, Decision) else f"it voted {result!r} instead of a Decision"


def _selected_model(result: Any, arguments: Mapping[str, Any]) -> str:
    if result is None or result in arguments["available"]:
        return ""
    return "it chose something that is not among the models available"


def _transformed_context(result: Any, arguments: Mapping[str, Any]) -> str:
    if result is None:
        return ""
    given = arguments["context"]
    if not isinstance(result, tuple) or result[: len(given)] != given:
        return "it changed segments that are not its own instead of appending"
    if any(getattr(segment, "stability", None) is not Stability.TURN for segment in result[len(given) :]):
        return "it appended something else than segments of stability TURN"
    return ""


_CHECKS: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], str]]] = {
    "eudai_select_model": _selected_model,
    "eudai_transform_context": _transformed_context,
}


def result_check(hook: str, arguments: Mapping[str, Any]) -> Check | None:
    """Return the check of a hook's result for one call, or None where any result will do."""
    check = _CHECKS.get(hook)
    if check is None:
        return None
    return lambda result: check(result, arguments)
