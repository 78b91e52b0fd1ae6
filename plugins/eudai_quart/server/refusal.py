"""What the connection layer itself answers: requests that no application is asked about.

They look like every other error of the surface: problem details (RFC 9457), a request id, the security headers.
"""

from __future__ import annotations

import logging
from typing import Final

from eudai_quart.context import new_request_id
from eudai_quart.headers import DEFAULTS
from eudai_quart.problems import MEDIA_TYPE, refused
from eudai_quart.problems import encoded as encoded_problem

__all__ = ["refusal"]

_EXTRA: Final = {426: ((b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"))}
"""Headers that a status needs (RFC 9110, section 15.5.22; RFC 6455, section 4.4)."""
_log = logging.getLogger(__name__)


def refusal(status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the headers and the body of an error after which the connection is closed."""
    request_id = new_request_id()
    problem = refused(status)
    _log.info("request %s refused: %s", request_id, problem.code)
    body = encoded_problem(problem)
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"x-request-id", request_id.encode()),
        *((name.lower().encode(), value.encode()) for name, value in DEFAULTS),
        *_EXTRA.get(status, ()),
    ]
    return headers, body
