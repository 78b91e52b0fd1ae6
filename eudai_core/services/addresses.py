"""Addresses of web pages: read once, and from then on in one form that every reader understands alike.

The grammar is that of RFC 3986, the normal form that of its section 6.2; names beyond ASCII go through IDNA (RFC
3490). What two programs could read in two ways is refused, since one of them may be the guard and the other the one
that connects: backslashes, credentials, odd spellings of IPv4 addresses, zones of IPv6 addresses.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from eudai_core.errors import InvalidInput
from eudai_core.services.fields import invalid

__all__ = ["ADDRESS_LENGTH", "normal_address"]

ADDRESS_LENGTH: Final = 2048
"""Code points that an address may have, as it was typed; four times as many in its normal form."""
PATH: Final = "$.url"

_PARTS: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?"
)
_PORTS: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,5}))?", re.ASCII)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_DEVIATING: Final = frozenset("\u00df\u03c2\u200c\u200d")
"""Characters that IDNA 2003 and IDNA 2008 take to different hosts (UTS 46, section 7)."""
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_TRIPLET: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_STRAY: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KEPT: Final = "!$&'()*+,;=:@/%"


def normal_address(text: str) -> str:
    """Return the address of a page in its normal form, without its fragment, in ASCII.

    Raises:
        InvalidInput: it is no absolute http or https address, or not in a form that all programs read alike.
    """
    if len(text) > ADDRESS_LENGTH:
        raise invalid(PATH, f"is longer than {ADDRESS_LENGTH} characters")
    if any(_is_odd(character) for character in text):
        raise invalid(PATH, "holds a space, a backslash, or a character that cannot be seen")
    parts = _PARTS.fullmatch(text)
    scheme = parts["scheme"].lower() if parts else ""
    if parts is None or scheme not in _PORTS:
        raise invalid(PATH, "must be an address that begins with http:// or https://")
    path = _without_dots(_encoded(parts["path"], _KEPT)) or "/"
    query = _encoded(parts["query"] or "", _KEPT + "?")
    address = f"{scheme}://{_authority(parts['authority'], _PORTS[scheme])}{path}{query}"
    if len(address) > 4 * ADDRESS_LENGTH:
        raise invalid(PATH, f"is longer than {4 * ADDRESS_LENGTH} characters once it is encoded")
    return address


def _is_odd(character: str) -> bool:
    return character == "\\" or character.isspace() or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _authority(text: str, usual_port: int) -> str:
    if "@" in text:
        raise invalid(PATH, "must not hold a user name or a password")
    parts = _AUTHORITY.fullmatch(text)
    if parts is None:
        raise _no_host()
    host = _literal(parts["host"]) if parts["host"].startswith("[") else _name(parts["host"])
    port = int(parts["port"] or usual_port)
    if not 1 <= port <= 65535:
        raise invalid(PATH, "has a port that does not exist")
    return host if port == usual_port else f"{host}:{port}"


def _literal(text: str) -> str:
    try:
        # A zone (``%eth0``) means something on one machine only.
        if "%" in text:
            raise _no_host()
        return f"[{ipaddress.IPv6Address(text[1:-1]).compressed}]"
    except ValueError as error:
        raise _no_host() from error


def _name(text: str) -> str:
    if _DEVIATING & set(text):
        raise invalid(PATH, "has a host that is read in two ways: write it in its xn-- form")
    try:
        name = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise _no_host() from error
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(name)
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise _no_host()
    return name


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise invalid(PATH, "has a host in numbers that is no plain IPv4 address") from error


def _no_host() -> InvalidInput:
    return invalid(PATH, "has no host that a name server could know")


def _encoded(text: str, kept: str) -> str:
    return _TRIPLET.sub(_plain, quote(_STRAY.sub("%25", text), safe=kept))


def _plain(match: re.Match[str]) -> str:
    """Return a character that needs no encoding for itself, and any other in capitals (RFC 3986, section 6.2.2)."""
    (byte,) = unquote_to_bytes(match[0])
    return chr(byte) if byte in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    """Remove the segments ``.`` and ``..`` (RFC 3986, section 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept) if segments else ""
