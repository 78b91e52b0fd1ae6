"""Frames of a conversation as the two streaming transports send them; each is made once, however many listen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from eudai_quart.problems import status_of_stored

__all__ = ["as_event", "as_text"]

_encoder = msgspec.json.Encoder()


def as_text(payload: Mapping[str, Any]) -> str:
    """Return a WebSocket message."""
    return _bytes(payload).decode()


def as_event(payload: Mapping[str, Any]) -> bytes:
    """Return a server-sent event; its id is the event's number, which comes back as Last-Event-ID."""
    seq = payload.get("seq")
    number = b"" if seq is None else b"id: %d\n" % seq
    return b"event: %s\n%sdata: %s\n\n" % (str(payload["type"]).encode(), number, _bytes(payload))


def _bytes(payload: Mapping[str, Any]) -> bytes:
    if payload["type"] == "error" and "status" not in payload:
        # The core knows no status numbers; the contract shows errors with theirs on every transport.
        payload = {**payload, "status": status_of_stored(str(payload.get("code", "")))}
    return _encoder.encode(payload)
