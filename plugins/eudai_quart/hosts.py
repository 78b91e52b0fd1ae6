"""The host names that the server answers to: a page of a stranger cannot reach it under a name of the stranger's.

A browser lets a page talk to its own host name, and whoever owns that name may point it at 127.0.0.1 at any moment (DNS
rebinding, as with CVE-2024-28224). An address cannot be pointed elsewhere, and ``localhost`` is nobody's.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final

from werkzeug.exceptions import HTTPException

__all__ = ["Hosts", "Misdirected"]

ANY: Final = "*"
_LOCAL: Final = "localhost"


class Misdirected(HTTPException):
    """The request is for a host that this server is not (RFC 9110, section 15.5.20)."""

    code = 421


class Hosts:
    """Which Host headers are good.

    Addresses and localhost always are. Other names must be listed; ``.example.org`` lists all names below it, ``*``
    all there are. With an empty list every name is good where the server listens to more than its own machine: who
    set that up gave it a name, and the web cookie stays with the name that it was given for.
    """

    def __init__(self, listed: Collection[str], *, bound: str) -> None:
        """Take the list of the setting, and the host that the server listens on."""
        self._listed: Final = frozenset(name.strip().lower().rstrip(".") for name in listed)
        self._any: Final = ANY in self._listed or (not self._listed and not _is_local(bound))
        self._bound: Final = bound.lower()

    def check(self, host: str) -> None:
        """Raise Misdirected for a Host header that names somebody else; none at all is HTTP/1.0."""
        if self._any or not host:
            return
        name = _name(host)
        if name == self._bound or name == _LOCAL or name.endswith(f".{_LOCAL}") or _is_address(name):
            return
        if name not in self._listed and not any(
            known.startswith(".") and name.endswith(known) for known in self._listed
        ):
            raise Misdirected


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower().rstrip(".") if ":" in host else host.lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_local(bound: str) -> bool:
    try:
        return ip_address(bound).is_loopback
    except ValueError:
        return bound.lower() == _LOCAL
