"""The settings of the section ``quart``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eudai_core.settings import setting

__all__ = ["QuartSettings"]


@dataclass(frozen=True, slots=True)
class QuartSettings:
    """Where plugins may put their routes, and who stands in front of the server."""

    grants: tuple[str, ...] = setting(
        ("eudai-webapp=/", "eudai-openai=/v1"),
        "Path prefixes that plugins may use besides /api/x/PLUGIN/, each as PLUGIN=PREFIX.",
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        "Host names that requests may be for, besides addresses and localhost; .example.org is all names below it, * "
        "is any. Not set means none more on a loopback address and any otherwise.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        (), "Addresses and networks of reverse proxies whose word about the client is taken, such as 10.0.0.0/8."
    )
    proxy_headers: Literal["x-forwarded", "forwarded"] = setting(
        "x-forwarded", "Whether the proxies tell by X-Forwarded-For, -Proto and -Host, or by Forwarded (RFC 7239)."
    )
