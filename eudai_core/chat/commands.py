"""Accepting what clients ask: one command, one run, however often and wherever it arrives."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from eudai_core.chat import frames
from eudai_core.chat.ask import Accepted, Ask
from eudai_core.chat.channel import Channel
from eudai_core.chat.channels import Channels
from eudai_core.chat.order import Order, ordered
from eudai_core.contracts import Clock, Storage, UnitOfWork
from eudai_core.errors import BackendBusy, Conflict, FieldError, InvalidInput, NotFound
from eudai_core.ids import new_id
from eudai_core.model import (
    Command,
    CommandKind,
    Conversation,
    Identity,
    Message,
    MessageStatus,
    ModelInfo,
    Run,
    Sender,
)
from eudai_core.services.access import missing
from eudai_core.services.fields import check_text
from eudai_core.services.notices import Notices

__all__ = ["Commands"]

CLIENT_ID_LENGTH: Final = 255
TITLE_LENGTH: Final = 60
RESUMABLE: Final = frozenset({MessageStatus.STOPPED, MessageStatus.INTERRUPTED, MessageStatus.FAILED})


@dataclass(frozen=True, slots=True)
class _Turn:
    """The rows of a command: the question (stored already unless ``new_question``) and its answer."""

    question: Message
    answer: Message
    new_question: bool
    new_answer: bool


class Commands:
    """Stores commands with their messages and runs, in one transaction."""

    def __init__(
        self, storage: Storage, channels: Channels, clock: Clock, notices: Notices, *, queue_limit: int
    ) -> None:
        self._storage = storage
        self._notices = notices
        self._channels = channels
        self._clock = clock
        self._queue_limit: Final = queue_limit
        self._accepting: set[asyncio.Future[Accepted]] = set()

    async def known(self, conversation_id: UUID, ask: Ask) -> Accepted | None:
        """Return the outcome of the same command if it was accepted before.

        Raises:
            Conflict: its ``client_id`` was used for another content.
        """
        if ask.client_id is None:
            return None
        check_text("$.client_id", ask.client_id, longest=CLIENT_ID_LENGTH, shortest=1)
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            command = await unit.runs.command(conversation_id, ask.client_id)
            if command is None:
                return None
            if command.request_hash != ask.hash:
                raise Conflict(
                    f"client_id {ask.client_id!r} was used in this conversation for another content. Use a new one."
                )
            position = await unit.runs.position(command.run_id)
        return _accepted(command, position)

    async def accept(self, identity: Identity, conversation: Conversation, model: ModelInfo, ask: Ask) -> Accepted:
        """Store a command, durable when this returns, and tell every socket.

        Raises:
            BackendBusy: too many runs are queued; nothing is kept.
            InvalidInput, NotFound, Conflict: it makes no sense here; nothing is kept.
        """
        work = asyncio.ensure_future(self._accept(identity, conversation, model, ask))
        self._accepting.add(work)
        work.add_done_callback(self._accepting.discard)
        return await asyncio.shield(work)  # who asked may leave: what is committed must be told

    async def _accept(self, identity: Identity, conversation: Conversation, model: ModelInfo, ask: Ask) -> Accepted:
        async with self._channels.use(conversation.id) as channel:
            try:
                async with ordered(channel) as order:
                    return await self._store(identity, conversation, model, ask, channel, order)
            except (Conflict, BackendBusy):
                # Somebody else may have stored the same client_id between our look and our insert.
                accepted = await self.known(conversation.id, ask)
                if accepted is None:
                    raise
                return accepted

    async def _store(
        self,
        identity: Identity,
        conversation: Conversation,
        model: ModelInfo,
        ask: Ask,
        channel: Channel,
        order: Order,
    ) -> Accepted:
        now = self._clock.now()
        async with self._storage.unit_of_work() as unit:
            waiting = await unit.runs.queued(model.backend)
            if waiting >= self._queue_limit:
                raise BackendBusy("Too many answers are waiting. Try again in a moment.", retry_after=10)
            # Renamed or answered meanwhile, perhaps; from here on nobody else changes it, nor finds what to follow.
            conversation = await unit.conversations.lock(conversation.id)
            turn = await self._turn(unit, conversation, model, ask, now)
            run = _run(identity, conversation, model, ask, turn, now)
            numbered = await self._channels.lease(channel, unit, order)
            titled = await self._keep(unit, conversation, turn, replace(run, announced=numbered), ask)
            if numbered:
                if turn.new_question:
                    order.add("user_message", frames.user_message(turn.question, run), run.id)
                if titled:
                    order.add("title", {"title": titled}, None)
                await unit.events.append(order.records())
            position = await unit.runs.position(run.id) if waiting else 0
            await unit.commit()
        data = {"status": "queued", "conversation_id": str(conversation.id)}
        self._notices.tell("run", "queued", identity.user_id, run.id, data)
        if titled:
            self._notices.tell("conversation", "updated", identity.user_id, conversation.id)
        return Accepted(conversation.id, ask.client_id, turn.question.id, turn.answer.id, run.id, position)

    async def _keep(self, unit: UnitOfWork, conversation: Conversation, turn: _Turn, run: Run, ask: Ask) -> str | None:
        if turn.new_question:
            await unit.messages.add(turn.question)
        if turn.new_answer:
            await unit.messages.add(turn.answer)
        else:
            await unit.messages.reopen(turn.answer.id)
        await unit.runs.add(run, _command(run, ask))
        title = None if conversation.title else _title(turn.question.text)
        if title:
            changed = replace(conversation, title=title, active_message_id=turn.answer.id, updated_at=run.queued_at)
            await unit.conversations.update(changed, expected_version=None)
        else:
            await unit.conversations.touch(conversation.id, active_message_id=turn.answer.id, at=run.queued_at)
        return title

    async def _turn(
        self, unit: UnitOfWork, conversation: Conversation, model: ModelInfo, ask: Ask, now: datetime
    ) -> _Turn:
        if ask.kind is CommandKind.MESSAGE:
            parent = await self._parent(unit, conversation, ask)
            question = Message(
                new_id(), conversation.id, parent, Sender.USER, ask.content, now, client_id=ask.client_id
            )
            return _Turn(question, _answer(question, model, now), new_question=True, new_answer=True)
        target = await self._target(unit, conversation, ask)
        if target.parent_id is None:
            raise missing("message", target.id)
        question = await unit.messages.get(target.parent_id)
        if ask.kind is CommandKind.REGENERATE:
            return _Turn(question, _answer(question, model, now), new_question=False, new_answer=True)
        if target.status not in RESUMABLE:
            raise Conflict(f"This answer is {target.status}: only a stopped, interrupted or failed one is continued.")
        return _Turn(question, target, new_question=False, new_answer=False)

    async def _parent(self, unit: UnitOfWork, conversation: Conversation, ask: Ask) -> UUID | None:
        if ask.parent == "leaf":
            waiting = await unit.runs.active(conversation.id)
            return waiting[-1].answer_id if waiting else conversation.active_message_id
        if ask.parent is None:
            return None
        parent = await self._message(unit, conversation, ask.parent)
        if parent.sender is not Sender.LLM:
            problem = "must be an answer: a message follows an answer, or nothing"
            raise InvalidInput(f"parent_id {problem}.", errors=(FieldError("$.parent_id", problem),))
        return parent.id

    async def _target(self, unit: UnitOfWork, conversation: Conversation, ask: Ask) -> Message:
        target = ask.target or conversation.active_message_id
        if target is None:
            raise NotFound("There is no answer yet in this conversation.")
        message = await self._message(unit, conversation, target)
        if message.sender is not Sender.LLM:
            problem = "must be an answer"
            raise InvalidInput(f"message_id {problem}.", errors=(FieldError("$.message_id", problem),))
        return message

    async def _message(self, unit: UnitOfWork, conversation: Conversation, message_id: UUID) -> Message:
        message = await unit.messages.get(message_id)
        if message.conversation_id != conversation.id:
            raise missing("message", message_id)
        return message


def _answer(question: Message, model: ModelInfo, now: datetime) -> Message:
    return Message(
        new_id(),
        question.conversation_id,
        question.id,
        Sender.LLM,
        "",
        now,
        status=MessageStatus.PENDING,
        model=model.name,
    )


def _run(identity: Identity, conversation: Conversation, model: ModelInfo, ask: Ask, turn: _Turn, now: datetime) -> Run:
    return Run(
        id=new_id(),
        conversation_id=conversation.id,
        user_id=identity.user_id,
        message_id=turn.question.id,
        answer_id=turn.answer.id,
        kind=ask.kind,
        model=model.name,
        backend=model.backend,
        host=model.host,
        queued_at=now,
        options=dict(ask.options),
    )


def _command(run: Run, ask: Ask) -> Command | None:
    if ask.client_id is None:
        return None
    return Command(
        run.conversation_id,
        ask.client_id,
        ask.kind,
        ask.hash,
        run.message_id,
        run.answer_id,
        run.id,
        run.queued_at,
    )


def _accepted(command: Command, position: int) -> Accepted:
    return Accepted(
        command.conversation_id, command.client_id, command.message_id, command.answer_id, command.run_id, position
    )


def _title(question: str) -> str:
    words = " ".join(question.split())
    if len(words) <= TITLE_LENGTH:
        return words
    return words[:TITLE_LENGTH].rsplit(" ", 1)[0] + " …"
