"""The body of a chat request.

What makes Ollama behave: one fixed ``num_ctx`` for each model, since another one loads it again; a bounded
``num_predict``, since none means ten windows; ``truncate`` and ``shift`` off, so that too long a prompt is an error
and not silently cut; ``think`` only for models that can.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from eudai_core.errors import BackendError
from eudai_core.model import ChatRequest, ModelInfo

__all__ = ["chat_body", "expects_thinking", "known_to_think", "separates_thinking", "unload_body"]

Think = Literal["auto", "on", "off", "low", "medium", "high", "max"]

_THINKERS = re.compile(r"(?:^|[-_/:.])(?:r1|qwq|thinking|reasoning|magistral)(?:$|[-_/:.])", re.IGNORECASE)
# Marks such as <|im_start|> and DeepSeek's with full-width bars: Ollama does not escape them in text.
_SPECIAL = re.compile(r"<(?=[|｜][^\s|｜<>]{1,40}[|｜]>)")
_ENCODER = msgspec.json.Encoder()


def chat_body(request: ChatRequest, *, think: Think, keep_alive: str) -> bytes:
    """Return the JSON body for an answer.

    Raises:
        BackendError: there is no message, or an option has a value that Ollama does not take.
    """
    if not request.messages:
        raise BackendError("There is nothing to answer: the request holds no message.")
    body: dict[str, Any] = {
        "model": request.model.name,
        "messages": [{"role": message.role, "content": _defused(message.content)} for message in request.messages],
        "stream": True,
        "truncate": False,
        "shift": False,
        "keep_alive": _keep_alive(keep_alive),
        "options": _options(request),
    }
    if "thinking" in request.model.capabilities:
        chosen = _think(request.think, think)
        if chosen is not None:
            body["think"] = chosen
    return _ENCODER.encode(body)


def unload_body(model: str) -> bytes:
    """Return the JSON body that unloads a model."""
    return _ENCODER.encode({"model": model, "messages": [], "keep_alive": 0})


def known_to_think(model: ModelInfo) -> bool:
    """Tell whether a model thinks: Ollama says so, or its name does."""
    return "thinking" in model.capabilities or _THINKERS.search(model.name) is not None


def separates_thinking(model: ModelInfo) -> bool:
    """Tell whether Ollama can be expected to know the model's tags: its own library's, not an import from elsewhere."""
    return "thinking" in model.capabilities and "/" not in model.name


def expects_thinking(request: ChatRequest, think: Think) -> bool:
    """Tell whether an answer should begin with thinking; one that continues an earlier text does not."""
    if request.messages and request.messages[-1].role == "assistant":
        return False
    return known_to_think(request.model) and _think(request.think, think) is not False


def _think(asked: bool | None, setting: Think) -> bool | str | None:
    """Choose ``think``: what the request says, else the setting; a level is a way of saying yes."""
    level = setting if setting in ("low", "medium", "high", "max") else None
    if asked is None:
        return {"auto": None, "on": True, "off": False}.get(setting, level)
    return (level or True) if asked else False


def _defused(text: str) -> str:
    """Break up marks of chat templates by U+200B after ``<``, so that a text cannot forge turns."""
    return _SPECIAL.sub("<\u200b", text) if "<" in text else text


def _keep_alive(value: str) -> str | int:
    try:
        return int(value)
    except ValueError:
        return value


def _options(request: ChatRequest) -> dict[str, Any]:
    """Return the options: sampling may be chosen by the request, what would load the model again may not."""
    chosen: dict[str, Any] = {}
    for name, value in request.options.items():
        check = _SAMPLING.get(name)
        if check is None or value is None:
            continue  # another backend's
        if not check(value):
            raise BackendError(f"The option {name} has a value that Ollama does not take. Correct it or leave it out.")
        chosen[name] = value
    window = request.model.window
    return chosen | {"num_ctx": window, "num_predict": max(1, min(request.max_answer_tokens, window))}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_words(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)


_SAMPLING: Mapping[str, Callable[[object], bool]] = {
    **dict.fromkeys(("temperature", "top_p", "min_p", "typical_p"), _is_number),
    **dict.fromkeys(("repeat_penalty", "presence_penalty", "frequency_penalty"), _is_number),
    **dict.fromkeys(("seed", "top_k", "repeat_last_n"), _is_integer),
    "stop": _is_words,
}
