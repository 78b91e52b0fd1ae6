"""What Ollama does with a prompt that is too long, as a pure function. Tokens are counted by whitespace words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eudai_core.testing._ollama.reply import context_exceeded

__all__ = ["Fitted", "TooLongError", "count_tokens", "fit", "piece_tokens"]

_SHIFTLESS = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the "
    "context length in settings, or use a model with a longer context length"
)


class TooLongError(Exception):
    """The prompt is refused; the argument is the text of the error."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the model reads of a prompt: the messages kept and how many tokens they have, cut or not."""

    messages: Sequence[Mapping[str, Any]]
    tokens: int


def count_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """Count the tokens of a prompt: the words between white space, and one for each message's role mark."""
    return sum(1 + len(str(message.get("content") or "").split()) for message in messages)


def piece_tokens(text: str) -> int:
    """Count the tokens of a generated piece: its words, at least one unless it is empty."""
    return max(1, len(text.split())) if text else 0


def fit(messages: Sequence[Mapping[str, Any]], window: int, *, truncate: bool, shift: bool, rendered: bool) -> Fitted:
    """Fit a prompt into ``window`` as the two chat paths do.

    A prompt that is shorter than the window passes whole. Else, with ``truncate``, the oldest messages that are no
    system messages are dropped from the front, the last one never. What is then still too long is refused by the
    native path, and on the rendered path refused without ``shift`` or cut in its middle to half the window.

    Raises:
        TooLongError: it is refused.
    """
    total = count_tokens(messages)
    if total < window:
        return Fitted(messages, total)
    if not truncate:
        raise TooLongError(context_exceeded(total, window))
    kept = list(messages)
    while count_tokens(kept) >= window and (oldest := _droppable(kept)) is not None:
        del kept[oldest]
    left = count_tokens(kept)
    if left < window:
        return Fitted(kept, left)
    if rendered and shift:
        return Fitted(kept, window // 2)
    raise TooLongError(_SHIFTLESS if rendered else context_exceeded(left, window))


def _droppable(messages: Sequence[Mapping[str, Any]]) -> int | None:
    for index, message in enumerate(messages[:-1]):
        if str(message.get("role", "")).lower() != "system":
            return index
    return None
