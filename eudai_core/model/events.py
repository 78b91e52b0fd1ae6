"""What happened, told to plugins and to other parts of the server after it was committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

__all__ = ["Event", "Job", "JobState", "StoredAnswer"]

from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Event:
    """A committed change: ``type`` is ``project``, ``conversation``, ``file``, ``run``, …; ids and status only."""

    type: str
    action: str
    user_id: UUID
    object_id: UUID
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


class JobState(StrEnum):
    """How a background job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of background work. One ``key`` has at most one job of a ``kind`` that is not done."""

    id: UUID
    kind: str
    key: str
    payload: Mapping[str, Any]
    run_after: datetime
    state: JobState = JobState.WAITING
    attempts: int = 0
    error: str | None = None
    owner: str | None = None
    lease_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What a request under an idempotency key was answered; ``status`` is None while it is being answered.

    ``request_hash`` is a SHA-256 of all that makes two requests the same, ``body`` the bytes of the answer.
    """

    request_hash: str
    begun_at: datetime
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
