"""What the scripted Ollama says when nothing was scripted: the same text for the same request, telling what it saw."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from eudai_core.testing._ollama.reply import Piece, Reply

__all__ = ["default_answer"]

_PIECES = re.compile(r"\s*\S+|\s+$")
_QUOTE = 200


def default_answer(model: str, messages: Sequence[Mapping[str, Any]], thinks: bool) -> Reply:
    """Answer from the request alone.

    Four lines: the last question, how many messages came, the beginning of the system text, the question before. A
    question is the last line of a user message that is not empty; quotes have at most 200 characters.
    """
    users = [_last_line(message) for message in messages if message.get("role") == "user"]
    system = " ".join(str(message.get("content", "")) for message in messages if message.get("role") == "system")
    lines = [
        f"You asked: {users[-1] if users else 'nothing'}",
        f"Messages received: {len(messages)}",
        f"System text: {' '.join(system.split())[:_QUOTE] or 'none'}",
        f"Asked before: {users[-2] if len(users) > 1 else 'nothing'}",
    ]
    thinking = f"{model} reads {len(messages)} messages." if thinks else ""
    steps = [
        *(Piece(thinking=text) for text in _split(thinking)),
        *(Piece(content=text) for text in _split("\n".join(lines))),
    ]
    return Reply(steps=tuple(steps))


def _last_line(message: Mapping[str, Any]) -> str:
    lines = [line.strip() for line in str(message.get("content", "")).splitlines() if line.strip()]
    return lines[-1][:_QUOTE] if lines else ""


def _split(text: str) -> list[str]:
    return _PIECES.findall(text)
