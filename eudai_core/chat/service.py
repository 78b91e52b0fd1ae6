"""Chat: what surfaces and library users call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal
from uuid import UUID

from eudai_core.chat.ask import Accepted, Ask
from eudai_core.chat.channels import Channels
from eudai_core.chat.commands import Commands
from eudai_core.chat.endings import Endings
from eudai_core.chat.remote import Remote
from eudai_core.chat.subscription import Subscription
from eudai_core.chat.supervisor import Supervisor
from eudai_core.contracts import Storage
from eudai_core.errors import Draining, EudaiError, FieldError, InvalidInput
from eudai_core.model import CommandKind, Event, Identity, Message, Run, RunStatus
from eudai_core.services.access import missing
from eudai_core.services.conversations import Conversations
from eudai_core.services.fields import check_text
from eudai_core.services.models import Models
from eudai_core.services.projects import Projects

__all__ = ["Chat"]

CONTENT_LENGTH: Final = 200_000
LOOK_AGAIN_S: Final = 1.0
ENDED: Final = frozenset({RunStatus.COMPLETE, RunStatus.STOPPED, RunStatus.INTERRUPTED, RunStatus.FAILED})
OPTIONS: Final[Mapping[str, tuple[type, ...]]] = {
    "think": (bool,),
    "temperature": (int, float),
    "top_p": (int, float),
    "seed": (int,),
}
"""What a message may set for its own turn."""
_log = logging.getLogger(__name__)


class Chat:
    """Asks, stops and follows answers. An answer goes on when whoever asked has left."""

    def __init__(
        self,
        storage: Storage,
        conversations: Conversations,
        projects: Projects,
        models: Models,
        commands: Commands,
        channels: Channels,
        endings: Endings,
        supervisor: Supervisor,
        remote: Remote,
        draining: asyncio.Event,
    ) -> None:
        self._storage = storage
        self._conversations = conversations
        self._projects = projects
        self._models = models
        self._commands = commands
        self._channels = channels
        self._endings = endings
        self._supervisor = supervisor
        self._remote = remote
        self._draining = draining
        self._stopping: set[asyncio.Task[None]] = set()

    async def send(
        self,
        identity: Identity,
        conversation_id: UUID,
        *,
        content: str,
        client_id: str | None = None,
        parent: UUID | Literal["leaf"] | None = "leaf",
        model: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Accepted:
        """Ask a question; it is stored and its answer queued when this returns.

        The same ``client_id`` with the same content gives the same outcome, however often it is sent. ``parent`` is
        the answer that the question follows: the newest one (``leaf``), an earlier one (a branch), or None (a first
        message).

        Raises:
            Conflict: ``client_id`` was used for another content.
            BackendBusy, ModelNotFound, InvalidInput, Draining: refused before anything was stored.
        """
        check_text("$.content", content, longest=CONTENT_LENGTH, shortest=1)
        ask = Ask(CommandKind.MESSAGE, client_id, content, parent, None, model, _options(options or {}))
        return await self._command(identity, conversation_id, ask)

    async def regenerate(
        self,
        identity: Identity,
        conversation_id: UUID,
        *,
        message_id: UUID | None = None,
        client_id: str | None = None,
        model: str | None = None,
    ) -> Accepted:
        """Ask for another version of an answer (None: the newest one); the old one stays as its sibling."""
        ask = Ask(CommandKind.REGENERATE, client_id, target=message_id, model=model)
        return await self._command(identity, conversation_id, ask)

    async def resume_answer(
        self, identity: Identity, conversation_id: UUID, *, message_id: UUID, client_id: str | None = None
    ) -> Accepted:
        """Go on with a stopped, interrupted or failed answer, after the text it has."""
        ask = Ask(CommandKind.CONTINUE, client_id, target=message_id)
        return await self._command(identity, conversation_id, ask)

    async def stop(self, identity: Identity, conversation_id: UUID, *, run_id: UUID | None = None) -> None:
        """Stop a run, or all of the conversation's; what was written stays, as ``stopped``."""
        await self._conversations.get(identity, conversation_id, action="chat")
        async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
            runs = await unit.runs.active(conversation_id)
        chosen = [run for run in runs if run_id in {None, run.id}]
        if run_id is not None and not chosen:
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                if (await unit.runs.get(run_id)).conversation_id != conversation_id:
                    raise missing("run", run_id)
        for run in chosen:
            await self._stop(run)

    @asynccontextmanager
    async def subscribe(
        self, identity: Identity, conversation_id: UUID, *, after: int | None = None
    ) -> AsyncIterator[Subscription]:
        """Follow a conversation: from the event ``after`` on, or, with None, from now on with a snapshot."""
        await self._conversations.get(identity, conversation_id)
        async with self._channels.use(conversation_id) as channel:
            subscription = Subscription(channel, self._storage)
            try:
                await subscription.seek(after)
                yield subscription
            finally:
                subscription.close()

    async def outcome(self, accepted: Accepted) -> tuple[Message, Message]:
        """Wait until a run has ended, however, and return its question and its answer."""
        with self._endings.waiters.of(accepted.run_id) as ended:
            while True:
                async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                    if (await unit.runs.get(accepted.run_id)).status in ENDED:
                        question = await unit.messages.get(accepted.message_id)
                        return question, await unit.messages.get(accepted.answer_id)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await ended.wait()
                ended.clear()

    def hear(self, event: Event) -> None:
        """Stop what runs in a conversation or project that was deleted, and end its subscriptions."""
        if event.action == "deleted" and event.type in {"conversation", "project"}:
            self.heard_of_end(event.object_id)
            self._remote.tell_end(event.object_id)

    def heard_of_log(self, conversation_id: UUID | None) -> None:
        """Have subscribers read what another process wrote to the log, of one conversation or (None) of any."""
        found = self._channels if conversation_id is None else (self._channels.get(conversation_id),)
        for channel in found:
            if channel is not None and channel.wakers and not self._channels.leased(channel):
                channel.read_on()

    def heard_of_stop(self, conversation_id: UUID, run_id: UUID) -> None:
        """Stop a run of this process, or end a queued one whose conversation this process has."""
        if self._supervisor.stop(run_id):
            return
        channel = self._channels.get(conversation_id)
        if channel is not None and self._channels.leased(channel):
            task = asyncio.create_task(self._end_queued(run_id), name=f"stopping run {run_id}")
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def heard_of_end(self, object_id: UUID) -> None:
        """End the runs and subscriptions of a conversation, or of a project, that was deleted."""
        for channel in self._channels:
            if object_id in {channel.conversation_id, channel.project_id}:
                channel.delete()
                if channel.making is not None:
                    self._supervisor.stop(channel.making.run_id)

    async def _end_queued(self, run_id: UUID) -> None:
        try:
            async with self._storage.unit_of_work(readonly=True, snapshot=False) as unit:
                run = await unit.runs.get(run_id)
            if run.status not in ENDED:
                await self._stop(run, told=True)
        except EudaiError as error:  # whoever claims the run ends it
            _log.info("run %s cannot be stopped in the queue: %s", run_id, error.detail)

    async def _command(self, identity: Identity, conversation_id: UUID, ask: Ask) -> Accepted:
        conversation = await self._conversations.get(identity, conversation_id, action="chat")
        known = await self._commands.known(conversation_id, ask)
        if known is not None:
            return known
        if self._draining.is_set():
            raise Draining("The server is restarting. Send it again in a moment.", retry_after=5)
        project = await self._projects.get(identity, conversation.project_id)
        model = await self._models.choose(identity, requested=ask.model, conversation=conversation, project=project)
        accepted = await self._commands.accept(identity, conversation, model, ask)
        self._supervisor.wake()
        return accepted

    async def _stop(self, run: Run, *, told: bool = False) -> None:
        if self._supervisor.stop(run.id):
            return
        async with self._channels.use(run.conversation_id) as channel:
            ended = await self._endings.stop_queued(channel, run)
        if not self._supervisor.stop(run.id) and not ended and not told:  # it may have been claimed meanwhile
            self._remote.tell_stop(run.conversation_id, run.id)


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in options.items():
        kinds = OPTIONS.get(name)
        if kinds is None or not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            problem = f"is none of the options {', '.join(OPTIONS)}, or of the wrong type"
            raise InvalidInput(f"options.{name} {problem}.", errors=(FieldError(f"$.options.{name}", problem),))
    return dict(options)
