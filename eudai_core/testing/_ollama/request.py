"""Reading a chat request as Ollama reads it, with its refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eudai_core.testing._ollama.library import Library, ScriptedModel, canonical

__all__ = ["ChatCall", "RefusalError", "read_chat", "read_json", "seconds"]

_INTEGERS = frozenset({
    "num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "draft_num_predict", "num_keep", "seed",
    "num_predict", "top_k", "repeat_last_n",
})  # fmt: skip
_FLOATS = frozenset({
    "top_p", "min_p", "typical_p", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty",
})  # fmt: skip
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_LEVELS = ("low", "medium", "high", "max")


class RefusalError(Exception):
    """A request that gets an error: its status, and the text (None: an empty body)."""

    def __init__(self, status: int, text: str | None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A chat request that will be answered."""

    model: ScriptedModel
    messages: Sequence[Mapping[str, Any]]
    stream: bool
    thinks: bool
    num_ctx: int | None
    num_predict: int
    truncate: bool
    shift: bool
    keep_alive: float | None


def read_json(body: bytes) -> dict[str, Any]:
    """Decode a request body.

    Raises:
        RefusalError: it is empty or no JSON object.
    """
    if not body:
        raise RefusalError(400, "missing request body")
    try:
        value = json.loads(body)
    except json.JSONDecodeError as error:
        rest = error.doc[error.pos :].strip()
        text = f"invalid character {rest[0]!r} looking for beginning of value" if rest else "unexpected EOF"
        raise RefusalError(400, text) from error
    if not isinstance(value, dict):
        raise RefusalError(400, "json: cannot unmarshal array into Go value of type api.ChatRequest")
    return value


def read_chat(library: Library, body: Mapping[str, Any]) -> ChatCall:
    """Read a chat request.

    Raises:
        RefusalError: as Ollama refuses it.
    """
    name = body.get("model")
    if name is not None and not isinstance(name, str):
        raise RefusalError(400, "json: cannot unmarshal number into Go struct field ChatRequest.model of type string")
    if not name:
        raise RefusalError(400, "model is required")
    model = library.find(name)
    if model is None:
        raise RefusalError(404, f"model '{name}' not found")
    options = body.get("options") or {}
    _check_options(options)
    if body.get("tools") and "tools" not in model.capabilities:
        raise RefusalError(400, f"registry.ollama.ai/library/{canonical(name)} does not support tools")
    return ChatCall(
        model=model,
        messages=body.get("messages") or [],
        stream=body.get("stream") is not False,
        thinks=_thinks(name, model, body.get("think")),
        num_ctx=options.get("num_ctx"),
        num_predict=int(options.get("num_predict", -1)),
        truncate=body.get("truncate") is not False,
        shift=body.get("shift") is not False,
        keep_alive=seconds(body.get("keep_alive")),
    )


def seconds(value: object) -> float | None:
    """Read ``keep_alive``: a number of seconds or a Go duration such as ``10m``; None when it was not sent.

    Raises:
        RefusalError: it is neither.
    """
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value)
    magnitude = text.removeprefix("-")
    parts = _DURATION.findall(magnitude)
    if magnitude == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != magnitude:
        raise RefusalError(400, f'time: invalid duration "{text}"')
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return -total if text.startswith("-") else total


def _check_options(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in _INTEGERS and not number:
            raise RefusalError(500, f'option "{name}" must be of type integer')
        if name in _FLOATS and not number:
            raise RefusalError(500, f'option "{name}" must be of type float32')
        if name == "stop" and not isinstance(value, list):
            raise RefusalError(500, 'option "stop" must be of type array')


def _thinks(name: str, model: ScriptedModel, think: object) -> bool:
    capable = "thinking" in model.capabilities
    if think is None:
        return capable
    if not isinstance(think, bool) and think not in _LEVELS:
        raise RefusalError(
            400, f'invalid think value: "{think}" (must be "high", "medium", "low", "max", true, or false)'
        )
    if think and not capable:
        raise RefusalError(400, f'"{name}" does not support thinking')
    return bool(think)
