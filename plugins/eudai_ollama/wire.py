"""Ollama's JSON, as much of it as is read. Unknown members are ignored, and every member may be missing.

Counts and durations are left out by the server when they are zero, so None means "not told".
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["ChatLine", "ChatMessage", "Details", "ErrorBody", "Process", "Processes", "Shown", "Tag", "Tags", "Version"]


class ChatMessage(msgspec.Struct, frozen=True, gc=False):
    """The part of a line that holds text."""

    content: str = ""
    thinking: str = ""


class ChatLine(msgspec.Struct, frozen=True):
    """One line of ``/api/chat``."""

    message: ChatMessage | None = None
    done: bool = False
    done_reason: str | None = None
    error: str | dict[str, Any] | None = None
    prompt_eval_count: int | None = None
    prompt_eval_cached_count: int | None = None
    eval_count: int | None = None


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of a refusal."""

    error: str | dict[str, Any] | None = None


class Version(msgspec.Struct, frozen=True):
    """``/api/version``."""

    version: str = ""


class Details(msgspec.Struct, frozen=True):
    """What kind of model it is; ``context_length`` is told here by newer servers only."""

    family: str | None = None
    parameter_size: str | None = None
    quantization_level: str | None = None
    context_length: int | None = None


class Tag(msgspec.Struct, frozen=True):
    """An installed model; ``capabilities`` is None on older servers."""

    name: str
    digest: str = ""
    size: int | None = None
    details: Details | None = None
    capabilities: list[str] | None = None
    remote_host: str | None = None


class Tags(msgspec.Struct, frozen=True):
    """``/api/tags``."""

    models: list[Tag] | None = None


class Shown(msgspec.Struct, frozen=True):
    """``/api/show``: heavy, and it names server paths, so nothing else of it is read."""

    capabilities: list[str] | None = None
    model_info: dict[str, Any] | None = None


class Process(msgspec.Struct, frozen=True):
    """A loaded model; ``context_length`` is the window that it really has."""

    name: str = ""
    digest: str = ""
    context_length: int | None = None


class Processes(msgspec.Struct, frozen=True):
    """``/api/ps``."""

    models: list[Process] | None = None
