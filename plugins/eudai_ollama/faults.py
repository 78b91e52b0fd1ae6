"""From what Ollama refuses to the errors of eudai_core.errors (the statuses are in Ollama's own routes).

A refusal's text is written for the operator of the machine: before it is passed on, addresses and paths are cut out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from eudai_core.errors import (
    BackendBusy,
    BackendError,
    BackendUnavailable,
    ContextTooLong,
    ModelNotFound,
    StreamBroken,
)
from eudai_ollama.wire import ErrorBody

__all__ = ["broken", "cleaned", "line_error", "no_model", "refused", "unreachable"]

_MAX_TEXT = 300
_BUSY_RETRY = 5.0
_TOO_LONG = ("exceed_context_size_error", "longer than the context length", "exceeds the context length")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?|\[[0-9a-fA-F:]*:[0-9a-fA-F:]*\](?::\d+)?|\blocalhost:\d+"
)
_PATH = re.compile(r"(?<![\w/])(?:/[\w.@+-]+){2,}/?|\b[A-Za-z]:\\\S+")
_BODY = msgspec.json.Decoder(ErrorBody)


def refused(status: int, body: bytes, *, model: str, retry_after: str | None = None) -> BackendError:
    """Return the error for an answer with a status of 300 or above."""
    text, nested = _read(body)
    if status == 403 and text is None:
        return BackendUnavailable(
            "Ollama refused the request for its Host or Origin header (403). Let the server reach it by a loopback or "
            "private address, or set OLLAMA_ORIGINS on Ollama's side; a proxy between them must rewrite Host."
        )
    if status == 404 and text is not None:
        return no_model(model)
    if text is None and status in (301, 302, 307, 308, 404, 405):
        return BackendUnavailable(
            f"What answers at Ollama's address is no Ollama (status {status}). Correct EUDAI_OLLAMA_HOST."
        )
    if _is_too_long(text, nested):
        return _too_long(nested)
    if status in (429, 503):
        after = _seconds(retry_after) or _BUSY_RETRY
        return BackendBusy("Ollama has too many requests waiting. Try again in a moment.", retry_after=after)
    if status in (502, 504):
        return BackendUnavailable(
            f"The way to Ollama is interrupted (status {status} from what stands in front of it)."
        )
    if status in (401, 403):
        said = f": {cleaned(text)}" if text else ""
        return BackendError(f"Ollama did not allow this ({status}){said}. Set EUDAI_OLLAMA_API_KEY or sign Ollama in.")
    return BackendError(f"Ollama could not answer (status {status}): {cleaned(text) or 'no reason was given'}.")


def line_error(error: str | Mapping[str, Any], *, given: bool) -> BackendError:
    """Return the error for an error line; ``given`` says whether a piece was passed on before it."""
    text, nested = _unnest(error)
    if not given and _is_too_long(text, nested):
        return _too_long(nested)
    return broken(f"Ollama reported: {cleaned(text) or 'an error without a text'}")


def broken(what: str) -> StreamBroken:
    """Return the error for an answer that did not come to its end, and ``what`` happened, a phrase."""
    return StreamBroken(f"The answer broke off. {what.rstrip('.')}. Regenerate or continue the answer.")


def no_model(model: str) -> ModelNotFound:
    """Return the error for a model that is not installed."""
    return ModelNotFound(
        f"Ollama has no model named {model!r}. Choose another model, or install it with: ollama pull {model}"
    )


def unreachable() -> BackendUnavailable:
    """Return the error for a connection that could not be made or was lost before the answer began."""
    return BackendUnavailable(
        "Ollama cannot be reached. Start it with `ollama serve`, or set EUDAI_OLLAMA_HOST to where it runs."
    )


def cleaned(text: str | None) -> str:
    """Return a server's text without addresses, paths and line breaks, shortened."""
    kept = _PATH.sub("[path]", _ADDRESS.sub("[address]", _URL.sub("[address]", text or "")))
    kept = " ".join(kept.split()).rstrip(".")
    return kept if len(kept) <= _MAX_TEXT else kept[: _MAX_TEXT - 1] + "…"


def _read(body: bytes) -> tuple[str | None, Mapping[str, Any]]:
    """Return the text of an error body and the document nested in it; None when it is no body of Ollama's."""
    try:
        error = _BODY.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, {}
    return (None, {}) if error is None else _unnest(error)


def _unnest(error: str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Take apart an error that may be a JSON document in a string, as llama-server's are passed on."""
    found: object = error
    if isinstance(error, str):
        try:
            found = msgspec.json.decode(error)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return error, {}
    if isinstance(found, Mapping) and isinstance(found.get("error"), Mapping):
        found = found["error"]
    if not isinstance(found, Mapping):
        return str(error), {}
    return str(found.get("message") or found.get("error") or error), found


def _is_too_long(text: str | None, nested: Mapping[str, Any]) -> bool:
    return nested.get("type") == _TOO_LONG[0] or any(mark in (text or "") for mark in _TOO_LONG)


def _too_long(nested: Mapping[str, Any]) -> ContextTooLong:
    tokens, window = _count(nested.get("n_prompt_tokens")), _count(nested.get("n_ctx"))
    sizes = f" ({tokens} tokens, the window holds {window})" if tokens and window else ""
    return ContextTooLong(
        f"The prompt does not fit the model's window{sizes}. Shorten the question, unpin files or set a larger window.",
        prompt_tokens=tokens,
        window=window,
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, min(float(value or ""), 3600.0))
    except ValueError:
        return None
