"""What a request brings to prove who sent it: a bearer token, the web cookie, or a WebSocket subprotocol pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from quart import Response
from werkzeug.datastructures import Headers

from eudai_core.errors import Unauthorized
from eudai_core.model import Credentials

__all__ = [
    "HEADERS",
    "SUBPROTOCOL",
    "clear_cookie",
    "cookie_name",
    "find",
    "set_cookie",
]

HEADERS: Final = "headers"
SUBPROTOCOL: Final = "eudai"
_PAIRED: Final = "bearer."
_COOKIE: Final = "eudai_session"
_LONGEST: Final = 8192


def find(headers: Headers, *, cookie: str | None, offered: Sequence[str] = (), peer: str | None = None) -> Credentials:
    """Return the credentials of a request.

    A bearer token goes before everything, and a request with one has no cookie. With neither, the scheme is HEADERS:
    an authenticator of a plugin may know the caller by headers that a proxy adds. ``offered`` are the subprotocols of
    a WebSocket; ``cookie`` is the value of the web cookie; ``peer`` is the address that sent the headers.

    Raises:
        Unauthorized: the Authorization header is of another kind or makes no sense.
    """
    authorization = headers.get("Authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("The Authorization header must be `Bearer` and a token.")
        return _credentials("bearer", token.strip(), headers, peer)
    if SUBPROTOCOL in offered:
        for protocol in offered:
            if protocol.startswith(_PAIRED):
                return _credentials("bearer", protocol.removeprefix(_PAIRED), headers, peer)
    if cookie:
        return _credentials("cookie", cookie, headers, peer)
    return _credentials(HEADERS, "", headers, peer)


def cookie_name(*, secure: bool) -> str:
    """Return the name of the web cookie; over https a prefix binds it to this host (RFC 6265bis, section 4.1.3)."""
    return f"__Host-{_COOKIE}" if secure else _COOKIE


def set_cookie(response: Response, token: str, *, secure: bool, seconds: int) -> None:
    """Give the browser the web cookie."""
    response.set_cookie(
        cookie_name(secure=secure), token, max_age=seconds, path="/", secure=secure, httponly=True, samesite="Lax"
    )


def clear_cookie(response: Response, *, secure: bool) -> None:
    """Take the web cookie away, with the attributes that it was given with."""
    response.delete_cookie(cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="Lax")


def _credentials(scheme: str, value: str, headers: Headers, peer: str | None) -> Credentials:
    if len(value) > _LONGEST:
        raise Unauthorized("The token is too long to be one of this server's.")
    texts: dict[str, str] = {}
    for name, text in headers.items():
        # All of what was sent (RFC 9110, section 5.3): whoever reads one of two could be made to read the wrong one.
        lower = name.lower()
        texts[lower] = f"{texts[lower]}, {text}" if lower in texts else text
    return Credentials(scheme, value, texts, peer)
