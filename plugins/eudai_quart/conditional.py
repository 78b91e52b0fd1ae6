"""Entity tags made of versions (RFC 9110, sections 8.8 and 13)."""

from __future__ import annotations

import re
from typing import Final

from quart import request

from eudai_core.errors import StaleVersion

__all__ = ["expected_version", "version_tag"]

_TAG: Final = re.compile(r'"v(\d{1,18})"')


def version_tag(version: int) -> dict[str, str]:
    """Return the header that tells an object's version."""
    return {"ETag": f'"v{version}"'}


def expected_version() -> int | None:
    """Return the version that If-Match asks for, or None for any.

    Raises:
        StaleVersion: the header names no version that this server gave out.
    """
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return None
    match = _TAG.fullmatch(header.strip())
    if match is None:
        raise StaleVersion("If-Match is no ETag of this object. Get it again and change the new version.")
    return int(match[1])
