"""Errors as problem details (RFC 9457): the one table that knows which status an error has."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from eudai_core.errors import EudaiError, InvalidInput
from eudai_quart.context import request_id

__all__ = [
    "CONNECTION",
    "FRAMEWORK",
    "INTERNAL",
    "MEDIA_TYPE",
    "STATUS",
    "FieldProblem",
    "Problem",
    "code_of",
    "encoded",
    "install",
    "problem_of",
    "refused",
    "respond",
    "status_of",
    "status_of_stored",
    "told",
    "type_of",
]

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
    "interrupted": 503,
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
FRAMEWORK: Final[Mapping[int, tuple[str, str]]] = {
    400: ("Bad request", "The request could not be understood."),
    404: ("Not found", "There is nothing at this address."),
    405: ("Method not allowed", "This address does not know the method."),
    408: ("Request timeout", "The body of the request stopped coming."),
    413: ("Content too large", "The body of the request is over the limit."),
    415: ("Unsupported media type", "Send application/json; uploads are multipart/form-data."),
    416: ("Range not satisfiable", "The range lies outside the file."),
    421: ("Misdirected request", "This server is not that host: EUDAI_QUART_ALLOWED_HOSTS lists what it is."),
}
"""Titles and details of what the web framework refuses by itself."""
CONNECTION: Final[Mapping[int, tuple[str, str]]] = {
    400: ("Bad request", "The request is no HTTP that can be understood in one way only."),
    426: ("Upgrade required", "WebSockets are spoken in version 13."),
    431: ("Headers too large", "The head of the request is over the limit."),
    501: ("Not implemented", "Of transfer codings only `chunked` is understood."),
}
"""Titles and details of what is refused before it comes to any route."""
LOGGED_CHARACTERS = 500
_log = logging.getLogger(__name__)


class FieldProblem(msgspec.Struct):
    """One thing that is wrong with the data of a request."""

    path: Annotated[str, Meta(description="Where, such as `$.content`.")]
    message: Annotated[str, Meta(description="What is wrong there.")]


class Problem(msgspec.Struct):
    """An error (RFC 9457), with a ``code`` that is stable where titles may change."""

    type: Annotated[str, Meta(description="`urn:eudai:problem:` and the code.")]
    title: Annotated[str, Meta(description="What a person reads first.")]
    status: Annotated[int, Meta(description="The status of the answer.")]
    detail: Annotated[str, Meta(description="What was tried, what happened, what to do.")]
    code: Annotated[str, Meta(description="What a program looks at. It never changes; plugins may have their own.")]
    request_id: Annotated[str, Meta(description="Stands in the log too.")]
    errors: Annotated[tuple[FieldProblem, ...] | UnsetType, Meta(description="What is wrong with the data.")] = UNSET
    message_id: Annotated[str | UnsetType, Meta(description="The answer that was not made.")] = UNSET
    retry_after: Annotated[int | UnsetType, Meta(description="Seconds after which another try makes sense.")] = UNSET


def status_of(code: str, error: EudaiError | None = None) -> int:
    """Return the status of an error's code; a plugin's own kind of error has that of the nearest known ancestor."""
    if code in STATUS or error is None:
        return STATUS.get(code, 500)
    for kind in type(error).__mro__:
        inherited = STATUS.get(getattr(kind, "code", ""))
        if inherited is not None:
            return inherited
    return 500


def status_of_stored(code: str) -> int:
    """Return the status of an error that an answer was stored with.

    Of a plugin's own kind of error only the code is left, and it is about a model that did not answer.
    """
    return STATUS.get(code, STATUS["llm_failed"])


def problem_of(error: EudaiError) -> Problem:
    """Return the problem that tells of an error."""
    status = status_of(error.code, error)
    known = error if status != 500 else INTERNAL
    return Problem(
        type=type_of(error.code if status != 500 else INTERNAL.code),
        title=known.title,
        status=status,
        detail=known.detail,
        code=known.code,
        request_id=request_id(),
        errors=_errors(error),
        retry_after=_seconds(error.retry_after),
    )


def told(payload: Mapping[str, Any], message_id: str) -> Problem:
    """Return the problem of an error as the chat engine stores it: code, title, detail and perhaps retry_after."""
    code = str(payload.get("code", INTERNAL.code))
    return Problem(
        type=type_of(code),
        title=str(payload.get("title", INTERNAL.title)),
        status=status_of_stored(code),
        detail=str(payload.get("detail", INTERNAL.detail)),
        code=code,
        request_id=request_id(),
        message_id=message_id,
        retry_after=_seconds(payload.get("retry_after")),
    )


def refused(status: int) -> Problem:
    """Return the problem of a request that no application is asked about."""
    if status not in CONNECTION:
        return problem_of(INTERNAL)
    title, detail = CONNECTION[status]
    return Problem(type_of(code_of(title)), title, status, detail, code_of(title), request_id())


def encoded(problem: Problem) -> bytes:
    """Return a problem in JSON."""
    return msgspec.json.encode(problem)


def respond(problem: Problem) -> Response:
    """Return the problem as an answer."""
    response = Response(encoded(problem), problem.status, content_type=MEDIA_TYPE)
    if problem.retry_after is not UNSET:
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
    title, detail = FRAMEWORK.get(status) or CONNECTION.get(status) or (error.name, error.name)
    code = code_of(title)
    response = respond(Problem(type_of(code), title, status, detail, code, request_id()))
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


def _errors(error: EudaiError) -> tuple[FieldProblem, ...] | UnsetType:
    if not isinstance(error, InvalidInput) or not error.errors:
        return UNSET
    return tuple(FieldProblem(fault.path, fault.message) for fault in error.errors)


def _seconds(retry_after: float | None) -> int | UnsetType:
    return UNSET if retry_after is None else max(1, math.ceil(retry_after))


def code_of(title: str) -> str:
    """Return the code of what the web framework refuses, made of its title."""
    return title.lower().replace(" ", "_")


def type_of(code: str) -> str:
    """Return the type of a problem with this code."""
    return f"urn:eudai:problem:{code}"
