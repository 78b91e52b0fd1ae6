"""The events of a conversation as every subscriber gets them (contract, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from eudai_core.errors import EudaiError
from eudai_core.model import EventRecord, Message, Run
from eudai_core.services.fields import storable

__all__ = ["Frame", "bot_message", "error_payload", "from_record", "numbered", "user_message"]

T = TypeVar("T")
LONGEST_S: Final = 10.0**9
"""Seconds after which no retry is worth telling, such as a plugin's infinity."""
_OUTSIDE: Final = frozenset({"type", "seq", "conversation_id"})


class Frame:
    """One event, complete and JSON-ready, shared by all subscribers and encoded once for each encoder."""

    __slots__ = ("_encoded", "payload", "seq", "type")

    def __init__(self, kind: str, seq: int | None, payload: Mapping[str, Any]) -> None:
        self.type: Final = kind
        self.seq: Final = seq
        self.payload: Final = payload
        self._encoded: tuple[object, object] | None = None

    def encoded(self, encode: Callable[[Mapping[str, Any]], T]) -> T:
        """Return ``encode(payload)``, made once while the same encoder asks."""
        if self._encoded is None or self._encoded[0] is not encode:
            self._encoded = (encode, encode(self.payload))
        return cast("T", self._encoded[1])

    def record(self, conversation_id: UUID, run_id: UUID | None) -> EventRecord:
        """Return the frame as the event log keeps it."""
        if self.seq is None:
            raise ValueError(f"a {self.type} frame without a number concerns one socket and is never logged")
        payload = {name: value for name, value in self.payload.items() if name not in _OUTSIDE}
        return EventRecord(conversation_id, self.seq, run_id, self.type, payload)


def numbered(kind: str, seq: int, conversation_id: str, payload: Mapping[str, Any]) -> Frame:
    """Return the frame of a numbered event."""
    return Frame(kind, seq, {"type": kind, "seq": seq, "conversation_id": conversation_id, **payload})


def from_record(record: EventRecord) -> Frame:
    """Return the frame of a logged event."""
    return numbered(record.type, record.seq, str(record.conversation_id), record.payload)


def user_message(message: Message, run: Run) -> dict[str, Any]:
    """Return the payload that shows a question to every socket."""
    return {
        "run_id": str(run.id),
        "message_id": str(message.id),
        "parent_id": _id(message.parent_id),
        "answer_id": str(run.answer_id),
        "client_id": message.client_id,
        "content": message.text,
    }


def bot_message(answer: Message, run_id: UUID) -> dict[str, Any]:
    """Return the payload that ends a run: the whole answer, its status and what it cost."""
    return {
        "run_id": str(run_id),
        "message_id": str(answer.id),
        "content": answer.text,
        "status": str(answer.status),
        "parent_id": _id(answer.parent_id),
        "model": answer.model,
        "usage": asdict(answer.usage) if answer.usage else None,
        "citations": [asdict(citation) for citation in answer.citations],
        "error": dict(answer.error) if answer.error else None,
    }


def error_payload(error: EudaiError) -> dict[str, Any]:
    """Return what is told, and stored, of an error; the surface adds its status number."""
    detail = storable(str(error.detail))
    payload: dict[str, Any] = {"code": storable(str(error.code)), "title": storable(str(error.title)), "detail": detail}
    if isinstance(error.retry_after, int | float) and 0 <= error.retry_after < LONGEST_S:
        payload["retry_after"] = error.retry_after
    return payload


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)
