"""One run, from its claim to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from eudai_core.chat import frames
from eudai_core.chat.answer import LiveAnswer
from eudai_core.chat.channel import Channel
from eudai_core.chat.channels import Channels
from eudai_core.chat.endings import UNTOLD, Ending, Endings
from eudai_core.chat.keeping import Keeping
from eudai_core.chat.opening import Material, Opening
from eudai_core.chat.progress import Progress
from eudai_core.chat.streaming import AnswerStream
from eudai_core.context import Assembly, AssemblyRequest, ContextAssembler
from eudai_core.contracts import Clock, Storage
from eudai_core.errors import BackendError, EudaiError, NotFound, StorageUnavailable
from eudai_core.model import ChatRequest, CommandKind, MessageStatus, ModelInfo, Run
from eudai_core.services.models import Models

__all__ = ["Turn", "Turns"]

RETRY_S: Final = 0.2
"""Seconds between the tries to begin, while another process has the conversation or the storage is down."""
CUT_S: Final = 1.0
"""How long a backend that was told to stop may take to close its stream before it is left behind."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Turn:
    """A run in progress, and how it is told to end."""

    run: Run
    begun: bool = False
    """Whether the answer has begun: from here on it has an end, which is told."""
    recalled: bool = False
    """Whether it is to go back into the queue unless it has begun."""
    told: asyncio.Future[MessageStatus | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """Done when it is to end: with the status of its answer, or None when the run is another process's now."""

    def stop(self, status: MessageStatus) -> None:
        """End the answer as it is, unless it was told to end before."""
        if not self.told.done():
            self.told.set_result(status)

    def lose(self) -> None:
        """End without a word: the run is not this process's any more."""
        if not self.told.done():
            self.told.set_result(None)

    @property
    def lost(self) -> bool:
        """Whether the run is not this process's any more."""
        return self.told.done() and self.told.result() is None


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
        instance: str,
    ) -> None:
        self._storage = storage
        self._channels = channels
        self._models = models
        self._assembler = assembler
        self._stream = stream
        self._endings = endings
        self._clock = clock
        self._instance: Final = instance
        self._opening = Opening(storage, channels)
        self._left_behind: set[asyncio.Task[None]] = set()
        self._broken: set[UUID] = set()
        """The runs that went back into the queue because they could not begin."""

    async def run(self, turn: Turn) -> bool:
        """Make the answer of a claimed run; False when it was recalled, or lost, or broke down, before it began.

        Raises:
            NotFound: the conversation was deleted.
        """
        run = turn.run
        async with self._channels.use(run.conversation_id) as channel:
            with channel.holding():
                try:
                    material = await self._begin(channel, turn)
                except NotFound:
                    raise
                except Exception:  # whatever it is, it may work the next time
                    again = run.id in self._broken
                    _log.exception("run %s cannot begin and %s", run.id, "fails" if again else "is queued once more")
                    self._broken.add(run.id)
                    return again and await self._fail(channel, turn)
                if material is None:
                    return False
                await self._make(channel, turn, material)
        return True

    async def _make(self, channel: Channel, turn: Turn, material: Material) -> None:
        """Make the answer of a run that has begun, and end it."""
        run, answer = turn.run, material.answer
        live = LiveAnswer(answer.id, run.id, text=answer.text, thinking=answer.thinking)
        channel.begin(live)
        try:
            ending = await self._outcome(channel, turn, material, live)
            if ending is None:
                channel.forsake(run.id)
            else:
                await self._endings.finish(channel, run, answer, live, ending, owner=self._instance)
        finally:
            channel.end(live)

    async def _begin(self, channel: Channel, turn: Turn) -> Material | None:
        """Begin as soon as nobody else has the conversation; its lease ends within its own period."""
        again = False
        while not turn.lost and not turn.recalled:
            try:
                material = await self._opening.begin(channel, turn.run, again=again)
            except StorageUnavailable as error:
                if not again:
                    _log.warning("run %s cannot begin now, and is tried again: %s", turn.run.id, error.detail)
                again = True
            else:
                if material is not None:
                    turn.begun = True
                    self._broken.discard(turn.run.id)
                    return material
            await self._clock.sleep(RETRY_S)
        return None

    async def _fail(self, channel: Channel, turn: Turn) -> bool:
        """End a run that cannot begin; False while another process has its conversation."""
        run = turn.run
        if not await self._channels.hold(channel):
            return False
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            answer = await unit.messages.get(run.answer_id)
        turn.begun = True
        self._broken.discard(run.id)
        live = LiveAnswer(answer.id, run.id, text=answer.text, thinking=answer.thinking)
        error = frames.error_payload(BackendError(UNTOLD))
        ending = Ending(MessageStatus.FAILED, answer.usage, error=error, citations=answer.citations)
        await self._endings.finish(channel, run, answer, live, ending, owner=self._instance)
        return True

    async def _outcome(self, channel: Channel, turn: Turn, material: Material, live: LiveAnswer) -> Ending | None:
        """Make the answer until it ends or is told to end; None when nothing must be told."""
        progress = Progress(self._channels, channel, turn.run, live, self._clock)
        try:
            ending = await self._made(turn, material, progress)
            unkept = None if progress.keeping is None else await progress.keeping.left()
        finally:
            progress.closed = True
        return None if ending is None else replace(ending, unkept=unkept)

    async def _made(self, turn: Turn, material: Material, progress: Progress) -> Ending | None:
        if not turn.told.done():
            making = asyncio.create_task(self._answer(turn.run, material, progress), name=f"answer {turn.run.id}")
            either: set[asyncio.Future[Any]] = {making, turn.told}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if making.done():
                    return _natural(turn.run, making, progress)
            finally:
                await self._cut(turn.run, making, progress)
            status = turn.told.result()
            return None if status is None else progress.ending(status)
        status = turn.told.result()
        answer = material.answer  # nothing was added to it
        return None if status is None else Ending(status, answer.usage, citations=answer.citations)

    async def _cut(self, run: Run, making: asyncio.Task[None], progress: Progress) -> None:
        """Close the stream of an answer that ends. One that does not let itself be closed is left behind."""
        if making.done():
            return
        making.cancel()
        await asyncio.wait({making}, timeout=CUT_S)
        if not making.done():
            progress.closed = True
            _log.error("The backend %s does not stop run %s and is left behind.", run.backend, run.id)
            self._left_behind.add(making)
        making.add_done_callback(self._forget)

    def _forget(self, making: asyncio.Task[None]) -> None:
        self._left_behind.discard(making)
        if not making.cancelled():
            making.exception()  # looked at, so that asyncio does not report it as lost

    async def _answer(self, run: Run, material: Material, progress: Progress) -> None:
        model = await self._models.of_backend(run.backend, run.model)
        assembly = await self._assemble(run, material, model)
        if progress.closed:
            return
        progress.assembled(assembly)
        progress.keeping = Keeping(self._storage, assembly, progress.tell_context)
        request = _request(run, material, model, assembly)
        async with aclosing(self._stream.chunks(run.backend, request)) as chunks:
            async for chunk in chunks:
                if progress.closed:
                    return
                progress.take(chunk)

    async def _assemble(self, run: Run, material: Material, model: ModelInfo) -> Assembly:
        continuing = material.answer if run.kind is CommandKind.CONTINUE and material.answer.text else None
        return await self._assembler.assemble(
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


def _natural(run: Run, making: asyncio.Task[None], progress: Progress) -> Ending:
    """Return the end of an answer that nobody told to end."""
    try:
        making.result()
    except EudaiError as error:
        _log.warning("run %s failed: %s: %s", run.id, error.title, error.detail)
        return progress.ending(MessageStatus.FAILED, error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # A backend or source of a plugin may raise anything, also cancel itself: the run ends, the rest goes on.
        _log.error("run %s failed", run.id, exc_info=error)
        return progress.ending(MessageStatus.FAILED, BackendError(UNTOLD))
    return progress.ending(MessageStatus.COMPLETE)


def _request(run: Run, material: Material, model: ModelInfo, assembly: Assembly) -> ChatRequest:
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
