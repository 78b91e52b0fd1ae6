"""What an assembly is asked for and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from eudai_core.model import ContextRecord, Message, ModelInfo, Project, PromptMessage, Segment

__all__ = ["Assembly", "AssemblyRequest", "SourceReport"]


@dataclass(frozen=True, slots=True)
class AssemblyRequest:
    """One answer that wants a prompt.

    ``path`` holds the earlier messages of the branch, oldest first and from its beginning, without this turn's
    question and answer. ``continuing`` is a partial answer that is to be continued: it becomes the last message, and
    ``question`` is the one it answers. ``question_id`` names the question's message in the report.
    """

    run_id: UUID
    answer_id: UUID
    user_id: UUID
    project: Project
    conversation_id: UUID
    question: str
    path: Sequence[Message]
    model: ModelInfo
    max_answer_tokens: int | None = None
    continuing: Message | None = None
    question_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Assembly:
    """A prompt with its explanation.

    ``messages`` are what the backend is given, byte for byte. ``segments`` are the included ones in prompt order, as
    the report lists them; citations point into this list. ``record`` and ``texts`` go to ``Contexts.put``. ``summary``
    is the payload of the ``context`` event. ``max_answer_tokens`` is what the window leaves for the answer.
    """

    messages: tuple[PromptMessage, ...]
    segments: tuple[Segment, ...]
    record: ContextRecord
    texts: Mapping[str, str]
    summary: Mapping[str, Any]
    max_answer_tokens: int


@dataclass(frozen=True, slots=True)
class SourceReport:
    """How one plugin did in a turn: the milliseconds it took, and its faults in words."""

    name: str
    milliseconds: float = 0.0
    faults: Sequence[str] = field(default_factory=tuple)
