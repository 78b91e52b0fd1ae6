"""The settings of the section ``proxy_auth``."""

from __future__ import annotations

from dataclasses import dataclass

from eudai_core.settings import setting

__all__ = ["ProxyAuthSettings"]


@dataclass(frozen=True, slots=True)
class ProxyAuthSettings:
    """Whose word is taken, and where it stands."""

    header: str = setting("X-Remote-User", "The header with the username or the e-mail address.")
    trusted: tuple[str, ...] = setting((), "Addresses and networks of the proxies whose header is believed.")
