"""What tests of the chat engine need to break things on purpose: a second process, odd clocks, broken commits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from eudai_core.app import Application
from eudai_core.clock import SystemClock
from eudai_core.errors import StorageUnavailable
from eudai_core.hooks import hookimpl
from eudai_core.model import ChatRequest, Chunk, EventRecord, Health, HealthStatus, ModelInfo, Run
from eudai_sql.messages import SqlMessages
from eudai_sql.unit_of_work import SqlUnitOfWork
from support.chatting import SECRET, Chatting

__all__ = [
    "DEFAULTS",
    "Jumping",
    "beside",
    "broken_ends",
    "idle",
    "log_of",
    "only_run",
    "orders",
    "unconfirmed",
    "with_backend",
]


DEFAULTS = (
    "eudai-sql",
    "eudai-auth",
    "eudai-content",
    "eudai-context",
    "eudai-ollama",
    "eudai-extractive",
    "eudai-export",
)


class Jumping(SystemClock):
    """The system's clock, until somebody sets it; ``ahead`` for the time of day, ``passed`` for the monotonic one."""

    ahead = timedelta(0)
    passed = 0.0

    def now(self) -> datetime:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.passed


class _Backend:
    """Offers one model, ``odd``, whose stream is what a function gives."""

    eudai_api = (0, 1)

    def __init__(self, stream: Callable[[ChatRequest], AsyncIterator[Chunk]], capacity: int) -> None:
        self.stream = stream
        self._model = ModelInfo("odd", "odd", 8192, capacity=capacity)

    @hookimpl
    def eudai_register_llm_backends(self, register: Any) -> None:
        register("odd", lambda context: self)

    async def models(self) -> Sequence[ModelInfo]:
        return (self._model,)

    async def health(self) -> Health:
        return Health(HealthStatus.OK)

    async def aclose(self) -> None:
        return None


def with_backend(stream: Callable[[ChatRequest], AsyncIterator[Chunk]], capacity: int = 1) -> list[Any]:
    """Return the plugins, with a backend whose model ``odd/odd`` streams what ``stream`` gives."""
    return [*DEFAULTS, ("odd-backend", _Backend(stream, capacity))]


@asynccontextmanager
async def beside(
    chat: Chatting,
    url: str,
    *,
    ahead: timedelta = timedelta(0),
    background: bool = False,
    plugins: Sequence[Any] | None = None,
) -> AsyncIterator[Chatting]:
    """Open what another process would over the same database, with a clock of its own.

    Without ``background`` it claims nothing and does nothing unasked, so that a test decides what happens when.
    """
    clock = Jumping()
    clock.ahead = ahead
    settings = {
        "EUDAI_DATA_DIR": str(chat.app.core.data_dir),
        "EUDAI_SECRET_KEY": SECRET,
        "EUDAI_AUTH_BCRYPT_COST": "4",
        "EUDAI_OLLAMA_HOST": chat.ollama.url,
        "EUDAI_DATABASE_URL": url,
    }
    async with Application.open(
        overrides=settings, environ={}, dotenv=None, clock=clock, background=background, plugins=plugins
    ) as application:
        yield replace(chat, app=application)


async def idle(chat: Chatting) -> None:
    """Have a process claim nothing from here on; what it makes and tells goes on."""
    supervisor = chat.app.supervisor
    supervisor._draining = True
    supervisor.wake()
    if supervisor._claiming is not None:
        await supervisor._claiming


async def log_of(chat: Chatting, *kinds: str) -> list[EventRecord]:
    """Return the events of these kinds that the log of the conversation has."""
    async with chat.app.storage.unit_of_work(readonly=True) as unit:
        events = await unit.events.after(chat.conversation.id, 0, limit=10_000)
    return [event for event in events if event.type in kinds]


async def only_run(chat: Chatting) -> Run:
    """Return the only run of the conversation that is queued or running."""
    async with chat.app.storage.unit_of_work(readonly=True) as unit:
        (run,) = await unit.runs.active(chat.conversation.id)
    return run


@contextmanager
def broken_ends(monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> Iterator[list[int]]:
    """Let the next commit of an answer's end fail, after it was done or before; yields how often that happened."""
    ends: set[Any] = set()
    broken: list[int] = []
    finish, commit = SqlMessages.finish, SqlUnitOfWork.commit

    async def note(self: SqlMessages, *arguments: Any, **named: Any) -> None:
        await finish(self, *arguments, **named)
        ends.add(self._tx)

    async def fail(self: SqlUnitOfWork) -> None:
        if self.transaction not in ends or broken:
            await commit(self)
            return
        broken.append(1)
        if committed:
            await commit(self)
        raise StorageUnavailable("the database did not confirm")

    with monkeypatch.context() as patch:
        patch.setattr(SqlMessages, "finish", note)
        patch.setattr(SqlUnitOfWork, "commit", fail)
        yield broken


@contextmanager
def unconfirmed(monkeypatch: pytest.MonkeyPatch, home: type, name: str) -> Iterator[list[int]]:
    """Let the next commit with a call of a repository's method, if it did something, be done and not confirmed."""
    marked: set[Any] = set()
    broken: list[int] = []
    method, commit = getattr(home, name), SqlUnitOfWork.commit

    async def note(self: Any, *arguments: Any, **named: Any) -> Any:
        done = await method(self, *arguments, **named)
        if done is None or done:
            marked.add(self._tx)
        return done

    async def fail(self: SqlUnitOfWork) -> None:
        await commit(self)
        if self.transaction in marked and not broken:
            broken.append(1)
            raise StorageUnavailable("the database did not confirm")

    with monkeypatch.context() as patch:
        patch.setattr(home, name, note)
        patch.setattr(SqlUnitOfWork, "commit", fail)
        yield broken


def orders(numbers: list[int | None]) -> bool:
    """Return whether numbers rise strictly."""
    known = [number for number in numbers if number is not None]
    return known == sorted(set(known))
