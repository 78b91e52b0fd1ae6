"""The listening socket, bound before anything else so that a taken port is told at once."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final

from eudai_core.errors import ConfigError, Unavailable

__all__ = ["bind", "url_of"]

_NEIGHBOURS: Final = 20
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM})


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket that does not listen yet; port 0 takes a free one.

    Raises:
        ConfigError: there is no such host.
        Unavailable: the address cannot be used; when its port is taken, a free one is named.
    """
    family, address = _resolve(host, port)
    try:
        return _bound(family, address)
    except OSError as error:
        raise Unavailable(_explain(host, port, family, address, error)) from error


def url_of(listener: socket.socket, host: str) -> str:
    """Return where the socket is reached; ``host`` is the name that was asked for."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"The host {host!r} cannot be resolved: give an address of this machine.") from error
    # IPv4 first: "localhost" then means the same machine to every client.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    family, _, _, _, address = found[0]
    return family, (str(address[0]), port)


def _bound(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # A port that only has connections in TIME_WAIT is free; on Windows the option would share taken ports.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setblocking(False)
        listener.bind(address)
        _claim(listener)
    except OSError:
        listener.close()
        raise
    return listener


def _claim(listener: socket.socket) -> None:
    """Listen, which is what makes a second server on this port fail; nothing is answered before the server runs."""
    listener.listen(1024)


def _explain(host: str, port: int, family: socket.AddressFamily, address: tuple[str, int], error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Port {_free(family, address)} is free: use it with --port."
    if error.errno in _DENIED:
        return f"Port {port} on {host} needs more rights: use one above 1023 with --port."
    return f"{host}:{port} cannot be listened on ({error.strerror}): give an address of this machine with --host."


def _free(family: socket.AddressFamily, address: tuple[str, int]) -> int:
    host, port = address
    for candidate in [*range(port + 1, min(port + 1 + _NEIGHBOURS, 65536)), 0]:
        try:
            with _bound(family, (host, candidate)) as listener:
                return int(listener.getsockname()[1])
        except OSError:
            continue
    return 0
