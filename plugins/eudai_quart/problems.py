"""Errors as problem details (RFC 9457): the one table that knows which status an error has."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from eudai_core.errors import EudaiError, FieldError, InvalidInput
from eudai_quart.context import request_id

__all__ = ["MEDIA_TYPE", "Problem", "install", "problem_of", "respond", "status_of"]

MEDIA_TYPE: Final = "application/problem+json"
STATUS: Final[Mapping[str, int]] = {
    "bad_file": 400,
    "bad_request": 400,
    "config": 500,
    "conflict": 409,
    "context_too_long": 400,
    "draining": 503,
    "forbidden": 403,
    "internal": 500,
    "llm_busy": 503,
    "llm_failed": 503,
    "llm_stream_broken": 503,
    "llm_unavailable": 503,
    "model_not_found": 404,
    "name_taken": 500,
    "not_found": 404,
    "plugin": 500,
    "plugin_fault": 500,
    "plugin_not_ready": 503,
    "precondition_failed": 412,
    "storage_error": 503,
    "too_many_requests": 429,
    "unauthorized": 401,
    "unavailable": 503,
}
"""The status of every error code."""
SILENT: Final = frozenset({"not_found", "forbidden", "conflict", "precondition_failed"})
"""Codes that are everyday answers and are not logged."""
INTERNAL: Final = EudaiError("Something went wrong here. The log of the server tells more under the request id.")
_OWN_WORDS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("Bad request", "The request could not be understood."),
    404: ("Not found", "There is nothing at this address."),
    405: ("Method not allowed", "This address does not know the method."),
    408: ("Request timeout", "The body of the request stopped coming."),
    413: ("Content too large", "The body of the request is over the limit."),
    415: ("Unsupported media type", "Send application/json; uploads are multipart/form-data."),
    416: ("Range not satisfiable", "The range lies outside the file."),
}
"""Titles and details of what the web framework refuses by itself."""
LOGGED_CHARACTERS = 500
_log = logging.getLogger(__name__)


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of an error: section 2 of the contract, and ``code``, which is stable where titles may change."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: tuple[FieldError, ...] = ()
    message_id: str | None = None
    retry_after: int | None = None


def status_of(code: str, error: EudaiError | None = None) -> int:
    """Return the status of an error's code; a plugin's own kind of error has that of the nearest known ancestor."""
    if code in STATUS or error is None:
        return STATUS.get(code, 500)
    for kind in type(error).__mro__:
        inherited = STATUS.get(getattr(kind, "code", ""))
        if inherited is not None:
            return inherited
    return 500


def problem_of(error: EudaiError, *, message_id: str | None = None) -> Problem:
    """Return the problem that tells of an error."""
    status = status_of(error.code, error)
    known = error if status != 500 else INTERNAL
    return Problem(
        type=_type(error.code if status != 500 else INTERNAL.code),
        title=known.title,
        status=status,
        detail=known.detail,
        code=known.code,
        request_id=request_id(),
        errors=error.errors if isinstance(error, InvalidInput) else (),
        message_id=message_id,
        retry_after=None if error.retry_after is None else max(1, math.ceil(error.retry_after)),
    )


def told(payload: Mapping[str, Any], message_id: str) -> Problem:
    """Return the problem of an error as the chat engine stores it: code, title, detail and perhaps retry_after."""
    code = str(payload.get("code", INTERNAL.code))
    after = payload.get("retry_after")
    return Problem(
        type=_type(code),
        title=str(payload.get("title", INTERNAL.title)),
        status=status_of(code),
        detail=str(payload.get("detail", INTERNAL.detail)),
        code=code,
        request_id=request_id(),
        message_id=message_id,
        retry_after=None if after is None else max(1, math.ceil(after)),
    )


def respond(problem: Problem) -> Response:
    """Return the problem as an answer."""
    response = Response(msgspec.json.encode(problem), problem.status, content_type=MEDIA_TYPE)
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def install(app: Quart) -> None:
    """Answer every error of the application with a problem."""
    app.register_error_handler(EudaiError, _on_known)
    app.register_error_handler(HTTPException, _on_framework)
    app.register_error_handler(Exception, _on_unknown)


async def _on_known(error: EudaiError) -> Response:
    log(error)
    return respond(problem_of(error))


async def _on_framework(error: HTTPException) -> Response:
    status = error.code or 500
    if 300 <= status < 400:
        return error.get_response()  # type: ignore[return-value]  # a redirect, which Quart takes as it is
    title, detail = _OWN_WORDS.get(status, (error.name, error.name))
    code = title.lower().replace(" ", "_")
    response = respond(Problem(_type(code), title, status, detail, code, request_id()))
    for name, value in error.get_headers():
        if name.lower() in {"allow", "content-range"}:
            response.headers[name] = value
    return response


async def _on_unknown(error: Exception) -> Response:
    log(error)
    return respond(problem_of(INTERNAL))


def log(error: Exception) -> None:
    """Log an error as the table of the contract says; only what nobody foresaw comes with its traceback."""
    if not isinstance(error, EudaiError) or status_of(error.code, error) == 500:
        _log.error("request %s failed", request_id(), exc_info=error)
    elif error.code not in SILENT:
        level = logging.WARNING if status_of(error.code, error) >= 500 else logging.INFO
        _log.log(level, "request %s refused: %s: %s", request_id(), error.code, _one_line(error.detail))


def _one_line(detail: str) -> str:
    """Return a detail for the log: what a stranger wrote in it forges no line and floods nothing."""
    return detail[:LOGGED_CHARACTERS].encode("unicode_escape").decode("ascii")


def _type(code: str) -> str:
    return f"urn:eudai:problem:{code}"
