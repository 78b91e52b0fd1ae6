"""One run, from its claim to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from eudai_core.chat import frames
from eudai_core.chat.answer import LiveAnswer
from eudai_core.chat.channel import Channel
from eudai_core.chat.channels import Channels
from eudai_core.chat.endings import Ending, Endings
from eudai_core.chat.streaming import AnswerStream
from eudai_core.context import Assembly, AssemblyRequest, ContextAssembler
from eudai_core.contracts import Clock, Storage
from eudai_core.errors import BackendError, EudaiError
from eudai_core.model import (
    ChatRequest,
    Chunk,
    CommandKind,
    Done,
    Message,
    MessageStatus,
    ModelInfo,
    Phase,
    Project,
    Run,
    Usage,
)
from eudai_core.services.fields import storable
from eudai_core.services.models import Models

__all__ = ["Turn", "Turns"]

PATH_LIMIT: Final = 2_000
LEASE_RETRY_S: Final = 0.2
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Turn:
    """A run in progress. ``stopping`` says why its task is cancelled, when it is."""

    run: Run
    stopping: MessageStatus = MessageStatus.INTERRUPTED
    ready: bool = False
    """Whether its task may be cancelled: the answer has begun."""
    ending: bool = False
    """Whether it was told to stop, or ends by itself: from here on it is not cancelled again."""


@dataclass(frozen=True, slots=True)
class _Material:
    question: Message
    answer: Message
    path: tuple[Message, ...]
    project: Project


class _Progress:
    """What a run has come to: its live answer, phase, and times."""

    def __init__(self, live: LiveAnswer, clock: Clock) -> None:
        self.live = live
        self.phase: Phase | None = None
        self.done: Done | None = None
        self.assembly: Assembly | None = None
        self._clock = clock
        self._begun = clock.monotonic()
        self._first: float | None = None

    def first_token(self) -> None:
        """Note the time of the first piece."""
        if self._first is None:
            self._first = self._clock.monotonic()

    def usage(self) -> Usage:
        """Return what the answer cost up to now."""
        done = self.done or Done()
        now = self._clock.monotonic()
        return Usage(
            prompt_tokens=done.prompt_tokens,
            completion_tokens=done.completion_tokens,
            reused_prefix_tokens=done.reused_prefix_tokens,
            duration_ms=round((now - self._begun) * 1000),
            first_token_ms=None if self._first is None else round((self._first - self._begun) * 1000),
        )


class Turns:
    """Runs turns: assembles the context, streams the answer to the channel, and ends it, whatever happens."""

    def __init__(
        self,
        storage: Storage,
        channels: Channels,
        models: Models,
        assembler: ContextAssembler,
        stream: AnswerStream,
        endings: Endings,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._channels = channels
        self._models = models
        self._assembler = assembler
        self._stream = stream
        self._endings = endings
        self._clock = clock

    async def run(self, turn: Turn) -> bool:
        """Make the answer of a claimed run; False when its end could not be stored.

        Cancelling it ends the run as ``turn.stopping``, with its text kept.
        """
        async with self._channels.use(turn.run.conversation_id) as channel:
            await self._lease(channel)
            material = await self._load(turn.run)
            if not turn.run.announced:
                await self._announce(channel, turn.run, material)
            live = LiveAnswer(
                material.answer.id, turn.run.id, text=material.answer.text, thinking=material.answer.thinking
            )
            progress = _Progress(live, self._clock)
            channel.begin(live)
            try:
                turn.ready = True
                ending = (
                    self._ending(progress, turn.stopping)
                    if turn.ending
                    else await self._outcome(channel, turn, material, progress)
                )
                turn.ending = True
                return await self._endings.finish(channel, turn.run, material.answer, live, ending) is not None
            finally:
                channel.running = False

    async def _outcome(self, channel: Channel, turn: Turn, material: _Material, progress: _Progress) -> Ending:
        try:
            await self._answer(channel, turn.run, material, progress)
        except asyncio.CancelledError:
            return self._ending(progress, turn.stopping)
        except EudaiError as error:
            _log.warning("run %s failed: %s: %s", turn.run.id, error.title, error.detail)
            return self._ending(progress, MessageStatus.FAILED, error)
        except Exception as error:  # a backend or source of a plugin may raise anything: the run ends, the rest goes on
            _log.exception("run %s failed", turn.run.id)
            named = BackendError("The answer failed inside the server. The operator finds the reason in the log.")
            named.__cause__ = error
            return self._ending(progress, MessageStatus.FAILED, named)
        return self._ending(progress, MessageStatus.COMPLETE)

    async def _answer(self, channel: Channel, run: Run, material: _Material, progress: _Progress) -> None:
        model = await self._models.of_backend(run.backend, run.model)
        assembly = await self._assemble(run, material, model)
        progress.assembly = assembly
        channel.emit("context", {"run_id": str(run.id), "message_id": str(run.answer_id), **assembly.summary}, run.id)
        request = _request(run, material, model, assembly)
        async with aclosing(self._stream.chunks(run.backend, request)) as chunks:
            async for chunk in chunks:
                self._take(channel, run, progress, chunk)

    def _take(self, channel: Channel, run: Run, progress: _Progress, chunk: Chunk) -> None:
        if chunk.phase is not None:
            self._tell(channel, run, progress, chunk.phase)
        if chunk.thinking:
            progress.first_token()
            self._tell(channel, run, progress, Phase.THINKING)
            self._channels.feed(channel, progress.live.thinking, storable(chunk.thinking))
        if chunk.text:
            progress.first_token()
            self._tell(channel, run, progress, Phase.ANSWERING)
            self._channels.feed(channel, progress.live.text, storable(chunk.text))
        if chunk.done is not None:
            progress.done = chunk.done

    def _tell(self, channel: Channel, run: Run, progress: _Progress, phase: Phase) -> None:
        if phase is progress.phase:
            return
        channel.flush()
        progress.phase = phase
        payload: dict[str, Any] = {"run_id": str(run.id), "phase": str(phase)}
        if phase is Phase.READING and progress.assembly is not None:
            payload["tokens"] = progress.assembly.record.report.get("estimated_prompt_tokens")
        channel.emit("status", payload, run.id)

    def _ending(self, progress: _Progress, status: MessageStatus, error: EudaiError | None = None) -> Ending:
        segments = progress.assembly.segments if progress.assembly else ()
        return Ending(status, progress.usage(), segments, None if error is None else frames.error_payload(error))

    async def _assemble(self, run: Run, material: _Material, model: ModelInfo) -> Assembly:
        continuing = material.answer if run.kind is CommandKind.CONTINUE and material.answer.text else None
        assembly = await self._assembler.assemble(
            AssemblyRequest(
                run_id=run.id,
                answer_id=run.answer_id,
                user_id=run.user_id,
                project=material.project,
                conversation_id=run.conversation_id,
                question=material.question.text,
                question_id=run.message_id,
                path=material.path,
                model=model,
                continuing=continuing,
            )
        )
        async with self._storage.unit_of_work() as unit:
            await unit.contexts.put(assembly.record, assembly.texts)
            await unit.commit()
        return assembly

    async def _load(self, run: Run) -> _Material:
        async with self._storage.unit_of_work(readonly=True) as unit:
            question = await unit.messages.get(run.message_id)
            answer = await unit.messages.get(run.answer_id)
            path = await unit.messages.path(question.parent_id, limit=PATH_LIMIT) if question.parent_id else ()
            conversation = await unit.conversations.get(run.conversation_id)
            project = await unit.projects.get(conversation.project_id)
        return _Material(question, answer, tuple(path), project)

    async def _lease(self, channel: Channel) -> None:
        # Another process may still hold the conversation's numbers; its lease ends within its own period.
        while not await self._channels.hold(channel):
            await self._clock.sleep(LEASE_RETRY_S)

    async def _announce(self, channel: Channel, run: Run, material: _Material) -> None:
        async with channel.ordered() as order, self._storage.unit_of_work() as unit:
            if run.kind is CommandKind.MESSAGE:
                order.add("user_message", frames.user_message(material.question, run), run.id)
            await unit.events.append(order.records())
            await unit.runs.announce(run.id)
            await unit.commit()


def _request(run: Run, material: _Material, model: ModelInfo, assembly: Assembly) -> ChatRequest:
    options: Mapping[str, Any] = run.options
    return ChatRequest(
        run_id=run.id,
        conversation_id=run.conversation_id,
        model=model,
        messages=assembly.messages,
        question=material.question.text,
        max_answer_tokens=assembly.max_answer_tokens,
        think=options.get("think"),
        options={name: value for name, value in options.items() if name != "think"},
        segments=assembly.segments,
    )
