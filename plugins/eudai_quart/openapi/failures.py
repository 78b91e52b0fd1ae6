"""The errors of routes, as answers of the document: one for each status, with an example for each code."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eudai_core.errors import (
    BadFile,
    Conflict,
    EudaiError,
    Forbidden,
    InvalidInput,
    NotFound,
    PluginNotReady,
    StaleVersion,
    StorageUnavailable,
    Unauthorized,
    Unavailable,
)
from eudai_quart.openapi.operation import UPLOAD, Operation
from eudai_quart.problems import FRAMEWORK, MEDIA_TYPE, STATUS, code_of, type_of

__all__ = ["Failures", "known_failures"]

_GUARDED: Final = (Unauthorized, Forbidden, StorageUnavailable, Unavailable, PluginNotReady)
_HEADERS: Final[Mapping[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    409: ("Retry-After",),
    416: ("Content-Range",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_TITLES: Final = {"interrupted": "Answer interrupted"}
"""Errors of answers that have no class."""
_MEANINGS: Final = {
    "internal": "Something unforeseen; the log tells more under the `request_id`.",
    "interrupted": "The server stopped before the answer began.",
    "plugin_not_ready": "What a plugin depends on is not there yet.",
    "unauthorized": "No credentials came, or they are wrong, expired or revoked.",
}
"""What codes mean to a client, where their classes speak to people who write eudai."""


@dataclass(frozen=True, slots=True)
class _Failure:
    status: int
    code: str
    title: str
    meaning: str


class Failures:
    """Collects the answers of all routes; those with the same codes are one component."""

    def __init__(self) -> None:
        self.components: dict[str, dict[str, Any]] = {}

    def of(self, operation: Operation | None, *, guarded: bool, ids: bool) -> dict[str, Any]:
        """Return the answers of a route by status; without a declaration, what is certain."""
        grouped: dict[int, dict[str, _Failure]] = defaultdict(dict)
        for failure in _of_route(operation, guarded=guarded, ids=ids):
            grouped[failure.status][failure.code] = failure
        return {str(status): self._refer(list(found.values())) for status, found in sorted(grouped.items())}

    def _refer(self, failures: Sequence[_Failure]) -> dict[str, Any]:
        codes = sorted({failure.code for failure in failures})
        name = ".".join(codes)
        if name not in self.components:
            self.components[name] = _response(sorted(failures, key=lambda failure: failure.code))
        return {"$ref": f"#/components/responses/{name}"}


def known_failures() -> Mapping[str, int]:
    """Return the status of every code that a client may meet."""
    told = {code: status for code, status in STATUS.items() if status != 500 or code == EudaiError.code}
    return {**told, **{code_of(title): status for status, (title, _) in FRAMEWORK.items()}}


def _of_route(operation: Operation | None, *, guarded: bool, ids: bool) -> Iterable[_Failure]:
    kinds: list[type[EudaiError] | str] = [EudaiError]
    if guarded:
        kinds += _GUARDED
    if ids:
        kinds += [InvalidInput, NotFound]
    if operation is None:
        return [*map(_raised, kinds), _refused(421)]
    refused = [421, *operation.refuses]
    if operation.query is not None or operation.body is not None:
        kinds.append(InvalidInput)
    if operation.body is not None:
        refused += [408, 415]
        if operation.body == UPLOAD:
            kinds.append(BadFile)
        else:
            refused.append(413)
    if "If-Match" in operation.takes:
        kinds.append(StaleVersion)
    if "Idempotency-Key" in operation.takes:
        kinds += [InvalidInput, Conflict]
    return [*map(_raised, [*kinds, *operation.errors]), *map(_refused, refused)]


def _raised(kind: type[EudaiError] | str) -> _Failure:
    if isinstance(kind, str):
        return _Failure(STATUS[kind], kind, _TITLES[kind], _MEANINGS[kind])
    meaning = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).replace("``", "`")
    return _Failure(STATUS[kind.code], kind.code, kind.title, _MEANINGS.get(kind.code, meaning))


def _refused(status: int) -> _Failure:
    title, meaning = FRAMEWORK[status]
    return _Failure(status, code_of(title), title, meaning)


def _response(failures: Sequence[_Failure]) -> dict[str, Any]:
    status = failures[0].status
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    for name in _HEADERS.get(status, ()):
        headers[name] = {"$ref": f"#/components/headers/{name}"}
    return {
        "description": "\n\n".join(f"`{failure.code}`: {failure.meaning}" for failure in failures),
        "headers": headers,
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {failure.code: {"value": _example(failure)} for failure in failures},
            }
        },
    }


def _example(failure: _Failure) -> dict[str, Any]:
    return {
        "type": type_of(failure.code),
        "title": failure.title,
        "status": failure.status,
        "detail": failure.meaning,
        "code": failure.code,
        "request_id": "8f14e45fceea167a",
    }
