"""What is said to a language model, and what it says back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from eudai_core.model.context import Segment

__all__ = ["ChatRequest", "Chunk", "Done", "Health", "HealthStatus", "ModelInfo", "Phase", "PromptMessage"]


class Phase(StrEnum):
    """What a run is doing, told to the user instead of a spinner."""

    QUEUED = "queued"
    LOADING = "loading"
    READING = "reading"
    THINKING = "thinking"
    ANSWERING = "answering"


class HealthStatus(StrEnum):
    """How a part of the server is."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of a health check; ``detail`` is for operators and never holds a secret."""

    status: HealthStatus
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a backend offers.

    ``window`` is the number of tokens, prompt and answer together, that the backend will really give it, the same
    for every request. ``host`` names the machine that answers and ``capacity`` how many answers it makes at once.
    ``capabilities``: ``thinking``, ``tools``, ``vision``, ``embed``. ``is_language_model`` is False for a stand-in.
    """

    name: str
    backend: str
    window: int
    max_answer_tokens: int = 2048
    capabilities: frozenset[str] = frozenset()
    host: str = "default"
    capacity: int = 1
    size: int | None = None
    family: str | None = None
    description: str = ""
    is_language_model: bool = True


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt; ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One answer asked of a backend.

    ``messages`` fit ``window`` together with ``max_answer_tokens`` by our own count. When the last message is an
    assistant's, the backend continues it. ``segments`` are what the messages were rendered from, for backends that
    work on passages. ``think`` None leaves it to the model. ``question`` is the user's text alone.
    """

    run_id: UUID
    conversation_id: UUID
    model: ModelInfo
    messages: Sequence[PromptMessage]
    question: str
    max_answer_tokens: int
    think: bool | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    segments: Sequence[Segment] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The end of an answer. ``reason`` is ``stop`` or ``length``; counts are None where the backend tells none."""

    reason: str = "stop"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reused_prefix_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer: text, thinking, a new phase, or the end. Exactly one chunk of a stream has ``done``."""

    text: str = ""
    thinking: str = ""
    phase: Phase | None = None
    done: Done | None = None
