"""What clients ask, and what they hear when it is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from eudai_core.chat.frames import Frame
from eudai_core.model import CommandKind, Phase

__all__ = ["Accepted", "Ask"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client asks: a message (``content``), another version of an answer, or more of one (``target``)."""

    kind: CommandKind
    client_id: str | None = None
    content: str = ""
    parent: UUID | Literal["leaf"] | None = "leaf"
    target: UUID | None = None
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Return the SHA-256 of all that makes two commands the same."""
        content = [self.kind, self.content, str(self.parent), str(self.target), self.model, self.options]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that is stored, with its run queued. ``position`` is how many runs stand before it."""

    conversation_id: UUID
    client_id: str | None
    message_id: UUID
    answer_id: UUID
    run_id: UUID
    position: int = 0

    def ack(self) -> Frame:
        """Return the acknowledgement, which goes to the sender alone and so has no number."""
        return self._private("ack", {"client_id": self.client_id, "message_id": str(self.message_id)})

    def queued(self) -> Frame | None:
        """Return the place in the queue, or None when nothing stands before the run."""
        if not self.position:
            return None
        return self._private("status", {"phase": str(Phase.QUEUED), "position": self.position})

    def _private(self, kind: str, payload: Mapping[str, Any]) -> Frame:
        ids = {
            "conversation_id": str(self.conversation_id),
            "answer_id": str(self.answer_id),
            "run_id": str(self.run_id),
        }
        return Frame(kind, None, {"type": kind, **ids, **payload})
