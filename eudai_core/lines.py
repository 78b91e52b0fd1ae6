"""Lines of the log: each says what it belongs to, is one line, and holds no secret.

Whoever begins a piece of work says its ids once (a request's, its user's, a run's); every line that is written on the
way, by whatever code, carries them. What must not stand in a log is taken out of the finished text, tracebacks
included: that catches what was logged by mistake, ours or a library's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

__all__ = ["LineFormatter", "add", "begin"]

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_ids: Final[ContextVar[Mapping[str, str]]] = ContextVar("eudai_log_ids", default=_NOTHING)
_HIDDEN: Final = "[hidden]"
_SECRETS: Final = (
    # Bearer tokens in headers and in WebSocket subprotocols, JSON Web Tokens anywhere, API keys of ours.
    (re.compile(r"\b(bearer[ .]+)[\w\-.~+/=]{8,}", re.IGNORECASE), rf"\1{_HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{4,}\.[\w-]{4,}\.[\w-]*"), _HIDDEN),
    (re.compile(r"\beud_[0-9a-f]{32}_[\w-]+"), _HIDDEN),
    # Cookies, and members of that name in JSON, in a repr, or in a query.
    (re.compile(r"\b((?:__Host-)?eudai_session=)[^\s;,'\"]+"), rf"\1{_HIDDEN}"),
    (
        re.compile(
            r"((?:password|passwd|refresh_token|access_token|secret_key|api_key)['\"]?\s*[:=]\s*)"
            r"(?:'[^']*'|\"[^\"]*\"|[^\s,;&})\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{_HIDDEN}",
    ),
    # The user's part of a URL, and every query.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@'\"]+@", re.IGNORECASE), rf"\1{_HIDDEN}@"),
    (re.compile(r"((?:\b[a-z][a-z0-9+.-]*://|/(?:api|ws)/)[^\s?'\"<>]*\?)[^\s'\"<>]+", re.IGNORECASE), rf"\1{_HIDDEN}"),
)
_CONTROL: Final = {
    number: f"\\x{number:02x}" for number in (*range(0x20), *range(0x7F, 0xA0)) if chr(number) not in "\t"
} | {0x2028: "\\u2028", 0x2029: "\\u2029"}


def begin(**ids: object) -> None:
    """Begin a piece of work: from here on, lines of this task and of those that it starts carry these ids."""
    _ids.set({name: str(value) for name, value in ids.items()})


def add(**ids: object) -> None:
    """Add ids to those of the piece of work."""
    begin(**{**_ids.get(), **ids})


class LineFormatter(logging.Formatter):
    """Writes ``time LEVEL logger [request=… user=…]: message``, in one line but for tracebacks."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(ids)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a line."""
        text = super().format(record)
        for secret, instead in _SECRETS:
            text = secret.sub(instead, text)
        return text

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's own name
        """Return the text without its traceback."""
        ids = " ".join(f"{name}={value}" for name, value in _ids.get().items())
        record.ids = f" [{ids}]" if ids else ""
        record.message = record.message.translate(_CONTROL)
        return super().formatMessage(record)
