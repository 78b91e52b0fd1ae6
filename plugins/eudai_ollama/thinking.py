"""Telling thinking from the answer when Ollama did not: tags that leak into ``content``.

Ollama moves what stands between ``<think>`` and ``</think>`` to ``message.thinking``. For imported models it may not
know the tags; then everything arrives as content, also with the closing tag alone, because the template wrote the
opening one. Two cases are told apart:

- content that begins with ``<think>``: thinking until ``</think>``, for every model;
- a ``</think>`` without an opening tag, for models known to think: only the closing tag shows that what came before
  was thinking. The first answer of an imported model is therefore held until the tag or the end. Any other model is
  trusted, and found out by its first such answer. What an answer shows is kept in :class:`TagHabits`, so that later
  ones are split while they stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

__all__ = ["Separator", "Split", "TagHabits"]

OPEN = "<think>"
CLOSE = "</think>"


class Split(NamedTuple):
    """What a piece of content turned out to be; either may be empty."""

    thinking: str = ""
    text: str = ""


class _State(Enum):
    START = auto()
    """Nothing but white space came: the first word decides."""
    HELD = auto()
    """Thinking or answer, not known yet."""
    THINKING = auto()
    """Between the tags, or before a closing tag that is expected by habit."""
    CLOSED = auto()
    """After the closing tag, before the first character that is no white space."""
    ANSWER = auto()
    """Everything is answer."""


@dataclass(slots=True)
class TagHabits:
    """What the answers of one model showed so far."""

    separates: bool = False
    """Ollama separates its thinking: content is content."""
    closes_only: bool = False
    """Its thinking arrives as content that only a closing tag ends."""


class Separator:
    """Splits the content of one answer. Feed it every piece of content, then call :meth:`end`."""

    def __init__(self, habits: TagHabits, *, expects_thinking: bool, trusted: bool = False) -> None:
        """Begin an answer.

        ``expects_thinking`` says that the model is known to think and was not asked not to, ``trusted`` that Ollama
        can be expected to separate it.
        """
        self._habits = habits
        self._watching = expects_thinking
        self._opened = False
        self._pending = ""
        self._thought = ""
        self._state = _State.START
        self._unopened = _State.ANSWER
        if expects_thinking and habits.closes_only:
            self._unopened = _State.THINKING
        elif expects_thinking and not trusted and not habits.separates:
            self._unopened = _State.HELD

    @property
    def passing(self) -> bool:
        """Whether content need not be fed any more, because all that follows is answer."""
        return self._state is _State.ANSWER and not self._watching

    def separated(self) -> None:
        """Note that Ollama separated some thinking itself: content is answer from its first character on."""
        self._habits.separates = True
        self._habits.closes_only = False
        self._watching = False
        if self._state is _State.START:
            self._unopened = _State.ANSWER

    def feed(self, content: str) -> Split:
        """Return what is certain after this piece."""
        if self._state is _State.ANSWER:
            self._watch(content)
            return Split(text=content)
        self._pending += content
        if self._state is _State.START:
            self._start()
        thinking = self._until_closed() if self._state in (_State.HELD, _State.THINKING) else ""
        if self._state is _State.CLOSED:
            self._pending = self._pending.lstrip()
            if self._pending:
                self._state = _State.ANSWER
        if self._state is not _State.ANSWER:
            return Split(thinking)
        text = self._take()
        self._watch(text)
        return Split(thinking, text)

    def end(self, *, cut: bool = False) -> Split:
        """Return what was held back, at the end of the stream, which was ``cut`` by its length or complete.

        Content that was held and never closed is the answer. So is content of a complete answer that was taken for
        thinking by habit alone: the model has changed its ways, and an answer shown twice is better than none.
        """
        pending, state = self._take(), self._state
        if state is _State.THINKING and (self._opened or cut):
            return Split(thinking=pending.rstrip())
        if state is _State.THINKING:
            self._habits.closes_only = False
            return Split(text=(self._thought + pending).strip())
        if state is _State.HELD and not cut:
            self._habits.separates = True
        return Split(text=pending)

    def _start(self) -> None:
        head = self._pending.lstrip()
        if head.startswith(OPEN):
            self._opened = True
            self._state = _State.THINKING
            self._pending = head[len(OPEN) :]
        elif head and not OPEN.startswith(head):
            self._state = self._unopened

    def _until_closed(self) -> str:
        if not self._thought:
            self._pending = self._pending.lstrip()
        before, tag, after = self._pending.partition(CLOSE)
        if tag:
            self._state, self._pending = _State.CLOSED, after
            self._watching = False
            self._habits.closes_only = not self._opened
            return before.rstrip()
        if self._state is _State.HELD:
            return ""
        sure = _certain(self._pending)
        thinking, self._pending = self._pending[:sure], self._pending[sure:]
        self._thought += thinking
        return thinking

    def _watch(self, text: str) -> None:
        if self._watching and CLOSE in text:
            # Too late for this answer; the next one is split.
            self._habits.closes_only = True
            self._watching = False

    def _take(self) -> str:
        pending, self._pending = self._pending, ""
        return pending


def _certain(text: str) -> int:
    """Return how much of ``text`` can be given out: not what may begin the closing tag, nor white space before it."""
    for length in range(min(len(CLOSE) - 1, len(text)), 0, -1):
        if text.endswith(CLOSE[:length]):
            return len(text[:-length].rstrip())
    return len(text.rstrip())
