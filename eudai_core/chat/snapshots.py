"""The newest answer as a whole, for a reader that cannot be given its pieces."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from eudai_core.chat.answer import LiveAnswer
from eudai_core.chat.channel import Channel
from eudai_core.chat.frames import Frame, numbered
from eudai_core.chat.recovery import rebuild
from eudai_core.contracts import UnitOfWork
from eudai_core.model import MessageStatus, Run, RunStatus, Sender

__all__ = ["live_snapshot", "newest_snapshot", "present"]


def live_snapshot(channel: Channel, seq: int) -> Frame | None:
    """Return the answer that this process is making, as far as it was given out; None when it makes none."""
    answer = channel.making
    return None if answer is None else _of_live(channel, answer, seq)


async def present(unit: UnitOfWork, channel: Channel) -> tuple[int, Frame | None]:
    """Return the last number in the log, and the answer that another process is making, as the log has it.

    Raises:
        NotFound: the conversation was deleted.
    """
    seq = (await unit.conversations.get(channel.conversation_id)).seq
    running = await _running(unit, channel)
    if running is None:
        return seq, None
    answer = await unit.messages.get(running.answer_id)
    text, thinking = rebuild(answer, await unit.events.of_run(running.id))
    return seq, _snapshot(channel, seq, answer.id, text, thinking, {"run_id": str(running.id)})


async def newest_snapshot(unit: UnitOfWork, channel: Channel, seq: int) -> Frame | None:
    """Return the newest answer, running here or elsewhere, or ended; None when there is none.

    One that has ended carries its ``status``. Every piece that comes later with a number above ``seq`` has its place
    in the text, or at its end.
    """
    if channel.making is not None:
        return _of_live(channel, channel.making, seq)
    running = await _running(unit, channel)
    conversation = await unit.conversations.get(channel.conversation_id)
    answer_id = conversation.active_message_id if running is None else running.answer_id
    if answer_id is None:
        return None
    answer = await unit.messages.get(answer_id)
    if answer.sender is not Sender.LLM:
        return None
    text, thinking = answer.text, answer.thinking
    if running is not None:
        text, thinking = rebuild(answer, await unit.events.of_run(running.id))
    extra: dict[str, Any] = {} if running is None else {"run_id": str(running.id)}
    if answer.status is not MessageStatus.PENDING:
        extra["status"] = str(answer.status)
    return _snapshot(channel, seq, answer.id, text, thinking, extra)


async def _running(unit: UnitOfWork, channel: Channel) -> Run | None:
    active = await unit.runs.active(channel.conversation_id)
    return next((run for run in active if run.status is RunStatus.RUNNING), None)


def _of_live(channel: Channel, answer: LiveAnswer, seq: int) -> Frame:
    extra = {"run_id": str(answer.run_id)}
    return _snapshot(channel, seq, answer.answer_id, answer.text.text, answer.thinking.text, extra)


def _snapshot(channel: Channel, seq: int, message_id: UUID, text: str, thinking: str, extra: dict[str, Any]) -> Frame:
    payload = {**extra, "message_id": str(message_id), "content": text, "thinking": thinking}
    return numbered("snapshot", seq, channel.id_text, payload)
