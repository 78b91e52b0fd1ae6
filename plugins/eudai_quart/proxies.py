"""Reverse proxies in front: whose word about the client is taken, and which word.

Only a peer whose address is in EUDAI_QUART_TRUSTED_PROXIES is believed; from everybody else the headers are taken away,
so that nothing behind this module can be misled by them. Of the addresses that a request passed, the right-most that
is no trusted proxy is the client: what stands left of it was written by strangers.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, Literal

from eudai_core.errors import ConfigError

__all__ = ["PEER", "Kind", "Proxies", "networks"]

Kind = Literal["x-forwarded", "forwarded"]
Scope = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
PEER: Final = "eudai.peer"
"""Where the scope has the peer itself, when its word about the client was taken."""
MOST_HOPS: Final = 32
"""Hops that are looked at; a longer way is no honest one."""
_HEADERS: Final = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip"}
)
_HOST: Final = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)
_PAIR: Final = re.compile(r'\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*))\s*(;|,|$)', re.ASCII)


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy says of who asked it: an address, and how its request looked."""

    client: Address | None
    scheme: str | None = None
    host: str | None = None


class Proxies:
    """An ASGI application that tells the one behind it who the client is."""

    def __init__(self, app: App, trusted: Sequence[Network], kind: Kind) -> None:
        self._app = app
        self._trusted: Final = trusted
        self._hops: Final = _hops_forwarded if kind == "forwarded" else _hops_x_forwarded

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass a request, a socket or the lifespan on."""
        await self._app(self._seen(scope) if scope["type"] in {"http", "websocket"} else scope, receive, send)

    def _seen(self, scope: Scope) -> Scope:
        told = [(name, value) for name, value in scope["headers"] if name.lower() in _HEADERS]
        if not told:
            return scope
        rest = [(name, value) for name, value in scope["headers"] if name.lower() not in _HEADERS]
        peer = _address(str((scope.get("client") or ("", 0))[0]))
        seen = {**scope, "headers": rest, PEER: scope.get("client")}
        if peer is None or not self._trusts(peer):
            return seen
        hop = self._client(self._hops(_texts(told)))
        if hop is None:
            return seen
        if hop.client is not None:
            seen["client"] = (str(hop.client), 0)
        if hop.scheme is not None:
            secure = hop.scheme == "https"
            seen["scheme"] = {"http": "https" if secure else "http"}.get(scope["type"], "wss" if secure else "ws")
        if hop.host is not None:
            seen["headers"] = [
                (b"host", hop.host.encode()),
                *(pair for pair in rest if pair[0].lower() != b"host"),
            ]
        return seen

    def _client(self, hops: Sequence[_Hop]) -> _Hop | None:
        """Return the hop of the client: the last that makes sense before one that does not, or that is a stranger."""
        found: _Hop | None = None
        for hop in reversed(hops[-MOST_HOPS:]):
            if hop.client is None:
                # A name, or nonsense: how the request looked to the proxy is known all the same.
                return found or hop
            found = hop
            if not self._trusts(hop.client):
                break
        return found

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that the setting names.

    Raises:
        ConfigError: a text is no address and no network.
    """
    found = []
    for text in texts:
        try:
            found.append(ip_network(text.strip()))
        except ValueError as error:
            raise ConfigError(
                f"EUDAI_QUART_TRUSTED_PROXIES: {text!r} is no address or network, such as 10.0.0.0/8."
            ) from error
    return tuple(found)


def _texts(told: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Return the headers by name; those that came in several lines are one list (RFC 9110, section 5.3)."""
    texts: dict[str, str] = {}
    for raw, value in told:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        texts[name] = f"{texts[name]},{text}" if name in texts else text
    return texts


def _hops_x_forwarded(told: Mapping[str, str]) -> Sequence[_Hop]:
    """Return the hops of X-Forwarded-For, -Proto and -Host; one word for all hops is the last proxy's."""
    clients = _listed(told.get("x-forwarded-for", ""))
    schemes, hosts = _listed(told.get("x-forwarded-proto", "")), _listed(told.get("x-forwarded-host", ""))
    count = max(len(clients), 1)

    def of(values: Sequence[str], index: int) -> str | None:
        if not values:
            return None
        return values[index] if len(values) == count else values[-1]

    return [
        _Hop(
            _address(clients[index]) if clients else None,
            _scheme(of(schemes, index)),
            _host(of(hosts, index)),
        )
        for index in range(count)
    ]


def _hops_forwarded(told: Mapping[str, str]) -> Sequence[_Hop]:
    """Return the hops of Forwarded (RFC 7239); what cannot be read makes nothing of what stands left of it."""
    text = told.get("forwarded", "")
    hops: list[_Hop] = []
    said: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            # It is read on behind the next comma: what is broken was not written by a trusted proxy.
            hops.append(_Hop(None))
            said = {}
            at = text.find(",", at) + 1 or len(text)
            continue
        quoted, plain = match[2], match[3]
        said.setdefault(match[1].lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain)
        at = match.end()
        if match[4] != ";" or at == len(text):
            hops.append(_Hop(_address(said.get("for", "")), _scheme(said.get("proto")), _host(said.get("host"))))
            said = {}
    return hops


def _listed(text: str) -> Sequence[str]:
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _address(text: str) -> Address | None:
    """Return the address in ``1.2.3.4``, ``1.2.3.4:5``, ``::1``, ``[::1]`` or ``[::1]:5``."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _scheme(text: str | None) -> str | None:
    lower = (text or "").lower()
    return lower if lower in {"http", "https"} else None


def _host(text: str | None) -> str | None:
    return text if text is not None and _HOST.fullmatch(text) else None
