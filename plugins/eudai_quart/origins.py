"""Whether a browser's request comes from a page of ours (cross-site request forgery, cross-site WebSockets)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

__all__ = ["SAFE_METHODS", "is_ours", "may_change"]

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def may_change(headers: Headers, *, scheme: str, host: str, allowed: Collection[str]) -> bool:
    """Tell whether a request that was authenticated by a cookie may change anything.

    The browser says where it comes from in Sec-Fetch-Site, or else in Origin; a request that says neither may not.
    """
    site = headers.get("Sec-Fetch-Site")
    origin = headers.get("Origin")
    if site in {"same-origin", "none"}:
        return True
    return origin is not None and is_ours(origin, scheme=scheme, host=host, allowed=allowed)


def is_ours(origin: str, *, scheme: str, host: str, allowed: Collection[str]) -> bool:
    """Tell whether an Origin is this server's own or one of ``allowed``, compared whole.

    A page over https with a server that sees http is a proxy that ends TLS; the other way round is refused.
    """
    if origin.lower() in {known.lower().rstrip("/") for known in allowed}:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or parts.path or parts.query or parts.username is not None:
        return False
    secure = scheme in {"https", "wss"}
    if secure and parts.scheme != "https":
        return False
    return _place(parts.netloc, parts.scheme) == _place(host, parts.scheme)


def _place(netloc: str, scheme: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(f"//{netloc}")
        return (parts.hostname or "", parts.port or _PORTS[scheme])
    except ValueError:
        return None
