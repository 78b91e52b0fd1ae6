"""The text of an answer while it is being made."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from eudai_core.chat.frames import Frame
from eudai_core.model import EventRecord

__all__ = ["LiveAnswer", "LiveText", "Reach"]

Reach = tuple[int, int]
"""How far a text was given out: the number of its last piece, and its length in code points."""


class LiveText:
    """One growing text (the answer, or its thinking): what came in, what was given out, what is in the log.

    ``text`` is what subscribers have been given, ``seq`` the number of the last piece of it, ``logged`` how many code
    points of it the event log holds. What came in since waits for the next tick.
    """

    __slots__ = ("_waiting", "kind", "last", "logged", "seq", "start", "text")

    def __init__(self, kind: str, text: str = "") -> None:
        self.kind: Final = kind
        self.text = text
        self.start: Final = len(text)
        """Where this run began: what a continued answer had before."""
        self.seq = 0
        self.logged = len(text)
        self.last: Frame | None = None
        self._waiting: list[str] = []

    @property
    def waiting(self) -> bool:
        """Whether something came in that was not given out."""
        return bool(self._waiting)

    @property
    def reach(self) -> Reach:
        """How far it was given out up to now."""
        return self.seq, len(self.text)

    def add(self, piece: str) -> None:
        """Take a piece from the backend."""
        self._waiting.append(piece)

    def take(self) -> tuple[int, str]:
        """Move what waits into the text; return its offset (code points) and content."""
        offset, piece = len(self.text), "".join(self._waiting)
        self._waiting.clear()
        self.text += piece
        return offset, piece


class LiveAnswer:
    """An answer that a run of this process is making, or made last in its conversation."""

    __slots__ = ("answer_id", "run_id", "text", "thinking")

    def __init__(self, answer_id: UUID, run_id: UUID, *, text: str = "", thinking: str = "") -> None:
        self.answer_id: Final = answer_id
        self.run_id: Final = run_id
        self.text: Final = LiveText("delta", text)
        self.thinking: Final = LiveText("thinking", thinking)

    @property
    def texts(self) -> tuple[LiveText, LiveText]:
        """Both texts, thinking first."""
        return self.thinking, self.text

    @property
    def reach(self) -> tuple[Reach, Reach]:
        """How far both texts were given out, thinking first."""
        return self.thinking.reach, self.text.reach

    @property
    def lacks_log(self) -> bool:
        """Whether the log lacks some of what was given out."""
        return any(len(part.text) > part.logged for part in self.texts)

    def unlogged(self, conversation_id: UUID) -> list[EventRecord]:
        """Return what the log lacks, one merged record a text."""
        return [self._record(conversation_id, part) for part in self.texts if len(part.text) > part.logged]

    def take_unlogged(self, conversation_id: UUID) -> list[EventRecord]:
        """Return what the log lacks and count it as logged."""
        records = self.unlogged(conversation_id)
        for part in self.texts:
            part.logged = len(part.text)
        return records

    def renumber(self, seq: int) -> int:
        """Number what the log lacks anew, above ``seq``; return the last number taken."""
        for part in self.texts:
            if len(part.text) > part.logged:
                seq += 1
                part.seq, part.last = seq, None
        return seq

    def _record(self, conversation_id: UUID, part: LiveText) -> EventRecord:
        payload = {
            "run_id": str(self.run_id),
            "message_id": str(self.answer_id),
            "offset": part.logged,
            "content": part.text[part.logged :],
        }
        return EventRecord(conversation_id, part.seq, self.run_id, part.kind, payload)
