"""The beginning of a turn: the conversation's lease, what the turn is about, and the question for every socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eudai_core.chat import frames
from eudai_core.chat.channel import Channel
from eudai_core.chat.channels import Channels
from eudai_core.chat.order import ordered
from eudai_core.contracts import Storage, UnitOfWork
from eudai_core.model import CommandKind, Message, Project, Run
from eudai_core.services.access import missing

__all__ = ["Material", "Opening"]

PATH_LIMIT: Final = 2_000


@dataclass(frozen=True, slots=True)
class Material:
    """What an answer is made from, besides what the plugins supply."""

    question: Message
    answer: Message
    path: tuple[Message, ...]
    project: Project


class Opening:
    """Begins turns, each in one commit."""

    def __init__(self, storage: Storage, channels: Channels) -> None:
        self._storage = storage
        self._channels = channels

    async def begin(self, channel: Channel, run: Run, *, again: bool = False) -> Material | None:
        """Take the lease, load the material, and tell the question unless that was done; None while the lease is taken.

        ``again`` is for a try after one that nobody confirmed: it may have told the question.

        Raises:
            NotFound: the conversation was deleted.
        """
        if run.announced and self._channels.held(channel):
            async with self._storage.unit_of_work(readonly=True) as unit:
                material = await _load(unit, channel, run)
            if self._channels.held(channel):
                return material
        async with ordered(channel) as order, self._storage.unit_of_work() as unit:
            if not await self._channels.lease(channel, unit, order):
                return None
            material = await _load(unit, channel, run)
            if not (run.announced or (again and (await unit.runs.get(run.id)).announced)):
                if run.kind is CommandKind.MESSAGE:
                    order.add("user_message", frames.user_message(material.question, run), run.id)
                await unit.events.append(order.records())
                await unit.runs.announce(run.id)
            await unit.commit()
        return material


async def _load(unit: UnitOfWork, channel: Channel, run: Run) -> Material:
    messages = await unit.messages.many([run.message_id, run.answer_id])
    question, answer = messages.get(run.message_id), messages.get(run.answer_id)
    if question is None or answer is None:
        raise missing("conversation", run.conversation_id)
    path = await unit.messages.path(question.parent_id, limit=PATH_LIMIT) if question.parent_id else ()
    project = await unit.projects.get(channel.project_id)
    return Material(question, answer, tuple(path), project)
