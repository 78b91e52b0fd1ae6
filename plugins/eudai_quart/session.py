"""One open WebSocket of a conversation (contract, section 3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from eudai_core.chat import Accepted, Chat, Subscription
from eudai_core.errors import EudaiError, NotFound
from eudai_quart import problems
from eudai_quart.lifelines import Lifeline
from eudai_quart.socket_loop import SocketLoop, Wire, event_of
from eudai_quart.wire import events
from eudai_quart.wire.encode import as_text
from eudai_quart.wire.requests import given

if TYPE_CHECKING:
    from eudai_core.model import Identity

__all__ = ["NOT_ALLOWED", "Session"]

NOT_ALLOWED: Final = 4403


class Session(SocketLoop):
    """Reads commands and writes events until either side ends.

    Answers are not the session's: what it asked for goes on when it is gone.
    """

    def __init__(
        self,
        wire: Wire,
        chat: Chat,
        identity: Identity,
        conversation_id: UUID,
        subscription: Subscription,
        line: Lifeline,
    ) -> None:
        super().__init__(wire, line)
        self._chat = chat
        self._identity = identity
        self._conversation_id = conversation_id
        self._subscription = subscription
        self._client_id: str | None = None

    def _reason(self, error: BaseException) -> tuple[int, str] | None:
        return (NOT_ALLOWED, "the conversation was deleted") if isinstance(error, NotFound) else None

    async def _write(self) -> None:
        due, send = self._subscription.next, self._wire.send
        while True:
            for frame in await due():
                await send(frame.encoded(as_text))

    async def _do(self, message: str | bytes) -> None:
        self._client_id = None
        event: events.ClientEvent = event_of(message, events.ClientEvent)
        self._client_id = getattr(event, "client_id", None)
        await HANDLERS[type(event)](self, event)

    async def _user_message(self, event: events.UserMessage) -> None:
        accepted = await self._chat.send(
            self._identity,
            self._conversation_id,
            content=event.content,
            client_id=event.client_id,
            parent="leaf" if event.parent_id is UNSET else event.parent_id,
            model=event.model,
            options=given(event.options),
        )
        await self._acknowledge(accepted)

    async def _regenerate(self, event: events.Regenerate) -> None:
        accepted = await self._chat.regenerate(
            self._identity,
            self._conversation_id,
            message_id=event.message_id,
            client_id=event.client_id,
            model=event.model,
        )
        await self._acknowledge(accepted)

    async def _continue(self, event: events.Continue) -> None:
        accepted = await self._chat.resume_answer(
            self._identity, self._conversation_id, message_id=event.message_id, client_id=event.client_id
        )
        await self._acknowledge(accepted)

    async def _stop(self, event: events.Stop) -> None:
        await self._chat.stop(self._identity, self._conversation_id, run_id=event.run_id)

    async def _resume(self, event: events.Resume) -> None:
        await self._subscription.seek(event.after)

    async def _ping(self, _: events.Ping) -> None:
        await self._wire.send('{"type":"pong"}')

    async def _acknowledge(self, accepted: Accepted) -> None:
        await self._wire.send(as_text(accepted.ack().payload))
        queued = accepted.queued()
        if queued is not None:
            await self._wire.send(as_text(queued.payload))

    async def _tell(self, error: EudaiError) -> None:
        problem = msgspec.to_builtins(problems.problem_of(error))
        payload = {**problem, "type": "error", "conversation_id": str(self._conversation_id)}
        if self._client_id is not None:
            payload["client_id"] = self._client_id
        await self._wire.send(as_text(payload))


HANDLERS: Final[Mapping[type[Any], Callable[[Session, Any], Awaitable[None]]]] = {
    events.UserMessage: Session._user_message,
    events.Regenerate: Session._regenerate,
    events.Continue: Session._continue,
    events.Stop: Session._stop,
    events.Resume: Session._resume,
    events.Ping: Session._ping,
}
