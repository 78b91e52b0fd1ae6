"""Conditional requests (RFC 9110, section 13): entity tags, If-Match before a change, If-None-Match before an answer.

A tag is ``"<revision>.<digest>"``. The revision is that of what users can change, and all that If-Match looks at: a
change is refused when somebody else's would be lost, and not because a count or a status moved on by itself. The
digest is of the representation, so that If-None-Match finds every difference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from quart import Response, request

from eudai_core.errors import StaleVersion
from eudai_quart.respond import answer, encoded

__all__ = ["entity_tag", "expected_revision", "expected_version", "has_already", "not_modified", "shown", "version_of"]

_TAG: Final = re.compile(r'"(?P<revision>[a-z0-9-]{1,64})\.[0-9a-f]{16}"', re.ASCII)
_VERSION: Final = re.compile(r"v(\d{1,10})", re.ASCII)
_LARGEST: Final = 2**31 - 1


def version_of(number: int) -> str:
    """Return the revision of an object that counts its versions."""
    return f"v{number}"


def entity_tag(body: Any, revision: str) -> dict[str, str]:
    """Return the header that goes with a representation of an object in a revision."""
    return {"ETag": f'"{revision}.{hashlib.sha256(encoded(body)).hexdigest()[:16]}"'}


def shown(body: Any, revision: str) -> Response:
    """Answer a GET: with the representation and its tag, or with 304 when the client has it already."""
    tag = entity_tag(body, revision)
    return not_modified(tag) if has_already(tag["ETag"]) else answer(body, 200, tag)


def not_modified(headers: Mapping[str, str]) -> Response:
    """Return 304, which has no body and says nothing of its length."""
    response = Response(b"", 304)
    del response.headers["Content-Type"]
    del response.headers["Content-Length"]
    response.headers.update(headers)
    return response


def expected_version() -> int | None:
    """Return the version that If-Match asks for, or None for any.

    Raises:
        StaleVersion: the header names no version that this server gave out.
    """
    revision = expected_revision()
    if revision is None:
        return None
    match = _VERSION.fullmatch(revision)
    if match is None or int(match[1]) > _LARGEST:
        raise StaleVersion("If-Match is no ETag of this object. Get it again and change the new version.")
    return int(match[1])


def expected_revision() -> str | None:
    """Return the revision that If-Match asks for, or None for any.

    What is no tag that this server gave out, or a weak one, or several, is the revision of nothing.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    match = _TAG.fullmatch(header.strip())
    return "" if match is None else match["revision"]


def has_already(tag: str) -> bool:
    """Tell whether the client has the version with this ETag: its If-None-Match names it (RFC 9110, section 13.1.2)."""
    header = request.headers.get("If-None-Match", "")
    return header.strip() == "*" or tag in [known.strip().removeprefix("W/") for known in header.split(",")]
