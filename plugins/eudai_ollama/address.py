"""Ollama's address, as people write it."""

from __future__ import annotations

from urllib.parse import urlsplit

from eudai_core.errors import ConfigError

__all__ = ["base_url"]

_DEFAULT_PORT = 11434
_SCHEME_PORTS = {"http": 80, "https": 443}
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- read, never bound


def base_url(host: str) -> str:
    """Return the URL, without a slash at its end, for what ``OLLAMA_HOST`` may hold.

    ``HOST``, ``HOST:PORT``, ``:PORT``, ``[IPv6]:PORT``, or a URL with or without a path. Without a scheme the port is
    11434, with one the scheme's (as in Ollama's own envconfig). An address that servers listen on (``0.0.0.0``,
    ``::``) means this machine. A user name and password in a URL are kept.

    Raises:
        ConfigError: it is no address, or more than one.
    """
    text = host.strip().strip("\"'").rstrip("/")
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    if scheme not in _SCHEME_PORTS:
        raise ConfigError("EUDAI_OLLAMA_HOST: the address must begin with http:// or https://, or have no scheme")
    if "," in rest:
        raise ConfigError("EUDAI_OLLAMA_HOST: give one address")
    parts = urlsplit(f"//{rest}")
    try:
        name, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError("EUDAI_OLLAMA_HOST: the port must be a number from 0 to 65535") from error
    if any(character.isspace() for character in rest) or parts.query or parts.fragment:
        raise ConfigError("EUDAI_OLLAMA_HOST: write HOST, HOST:PORT or http://HOST:PORT")
    name = _ANY.get(name, name)
    user, at, _ = parts.netloc.rpartition("@")
    shown = f"[{name}]" if ":" in name else name
    return f"{scheme}://{user}{at}{shown}:{port or (_SCHEME_PORTS[scheme] if separator else _DEFAULT_PORT)}{parts.path}"
