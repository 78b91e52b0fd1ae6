"""What exports for people say in the same words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from eudai_core.model import Message, MessageStatus, Sender

__all__ = ["UNTITLED", "ending", "one_line", "speaker", "timestamp", "verdict"]

UNTITLED: Final = "Untitled conversation"

_ENDINGS: Final = {
    MessageStatus.PENDING: "This answer was still being written.",
    MessageStatus.STOPPED: "This answer was stopped before its end.",
    MessageStatus.INTERRUPTED: "This answer was interrupted.",
    MessageStatus.FAILED: "This answer failed.",
}
_VERDICTS: Final = {"verified": "verified", "paraphrase": "paraphrased", "not_found": "not found in the source"}


def timestamp(moment: datetime) -> str:
    """Return a time as RFC 3339 writes it, in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def speaker(message: Message) -> str:
    """Return who wrote the message."""
    if message.sender is Sender.USER:
        return "User"
    return f"Assistant ({one_line(message.model)})" if message.model else "Assistant"


def ending(message: Message) -> str | None:
    """Return a sentence about an answer that is not whole, or None."""
    return _ENDINGS.get(message.status)


def verdict(name: str) -> str:
    """Return what the check of a citation found."""
    return _VERDICTS.get(name, name)


def one_line(text: str) -> str:
    """Return the text with every run of white space as one space."""
    return " ".join(text.split())
