"""Asking over plain HTTP, following a conversation as server-sent events, and what an answer was made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from msgspec import UNSET
from quart import Blueprint, Response, request

from eudai_core.chat import Accepted
from eudai_core.errors import (
    BackendBusy,
    BackendError,
    BackendUnavailable,
    Conflict,
    ContextTooLong,
    Draining,
    FieldError,
    InvalidInput,
    ModelNotFound,
    StreamBroken,
)
from eudai_core.model import Message as Stored
from eudai_core.model import MessageStatus, Scope
from eudai_quart import problems
from eudai_quart.context import application, caller, lifelines
from eudai_quart.openapi.operation import EVENTS, Answer, operation
from eudai_quart.respond import answer
from eudai_quart.sse import answer_events, conversation_events, event_stream
from eudai_quart.wire.answers import Done
from eudai_quart.wire.chats import Accepted as AcceptedAnswer
from eudai_quart.wire.chats import Exchange, Message
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.frames import ServerEvent
from eudai_quart.wire.reports import ContextReport
from eudai_quart.wire.requests import After, Answering, NewMessage, Regeneration, Stopping, given

__all__ = ["blueprint"]

blueprint = Blueprint("messages", __name__)
REFUSED = (Conflict, ModelNotFound, BackendUnavailable, BackendBusy, Draining)
"""Why a command is not accepted."""
FAILED = (ContextTooLong, BackendError, StreamBroken)
"""Why an accepted one has no answer."""


@blueprint.post("/api/conversations/<id:conversation_id>/messages")
@operation(
    Answer(Exchange),
    Answer(ServerEvent, media=EVENTS),
    body=NewMessage,
    errors=(*REFUSED, *FAILED, "interrupted"),
    needs=Scope.CHAT,
)
async def send(conversation_id: UUID) -> Response:
    """Ask a question; the answer comes as events where they are asked for, else whole once it has ended."""
    body = await read_json(NewMessage)
    chat, identity = application().chat, caller()

    async def command() -> Accepted:
        return await chat.send(
            identity,
            conversation_id,
            content=body.content,
            client_id=body.client_id,
            parent="leaf" if body.parent_id is UNSET else body.parent_id,
            model=body.model,
            options=given(body.options),
        )

    if request.accept_mimetypes.best_match(["application/json", EVENTS]) == EVENTS:
        return await event_stream(answer_events(chat, lifelines(), identity, conversation_id, command))
    return await _whole(command)


@blueprint.post("/api/conversations/<id:conversation_id>/regenerate")
@operation(Answer(AcceptedAnswer, 202), body=Regeneration, body_needed=False, errors=REFUSED, needs=Scope.CHAT)
async def regenerate(conversation_id: UUID) -> Response:
    """Ask for another version of an answer."""
    body = await read_json(Regeneration, optional=True)
    accepted = await application().chat.regenerate(
        caller(), conversation_id, message_id=body.message_id, client_id=body.client_id, model=body.model
    )
    return _accepted(accepted)


@blueprint.post("/api/conversations/<id:conversation_id>/continue")
@operation(Answer(AcceptedAnswer, 202), body=Answering, errors=REFUSED, needs=Scope.CHAT)
async def resume(conversation_id: UUID) -> Response:
    """Ask for more of an answer that did not come to its end."""
    body = await read_json(Answering)
    accepted = await application().chat.resume_answer(
        caller(), conversation_id, message_id=body.message_id, client_id=body.client_id
    )
    return _accepted(accepted)


@blueprint.post("/api/conversations/<id:conversation_id>/stop")
@operation(Answer(Done, 202), body=Stopping, body_needed=False, needs=Scope.CHAT)
async def stop(conversation_id: UUID) -> Response:
    """Stop an answer; what was written stays."""
    body = await read_json(Stopping, optional=True)
    await application().chat.stop(caller(), conversation_id, run_id=body.run_id)
    return answer(Done(), 202)


@blueprint.get("/api/conversations/<id:conversation_id>/events")
@operation(Answer(ServerEvent, media=EVENTS), query=After, takes=("Last-Event-ID",))
async def events(conversation_id: UUID) -> Response:
    """Follow a conversation; ``Last-Event-ID``, which a browser sends when it reconnects, wins over ``?after=``."""
    after = query(After).after
    last = request.headers.get("Last-Event-ID")
    if last is not None:
        after = _number(last)
    return await event_stream(conversation_events(application().chat, lifelines(), caller(), conversation_id, after))


@blueprint.get("/api/messages/<id:message_id>/context")
@operation(Answer(ContextReport))
async def context(message_id: UUID) -> Response:
    """Tell what an answer was made of."""
    return answer(await application().conversations.context(caller(), message_id))


async def _whole(command: Callable[[], Awaitable[Accepted]]) -> Response:
    accepted = await command()
    question, reply = await application().chat.outcome(accepted)
    if not reply.text and reply.status in {MessageStatus.FAILED, MessageStatus.INTERRUPTED}:
        return problems.respond(problems.told(reply.error or _interrupted(reply), str(reply.id)))
    return answer(Exchange(Message.of(question), Message.of(reply)))


def _interrupted(reply: Stored) -> dict[str, str]:
    return {
        "code": "draining",
        "title": "Restarting",
        "detail": f"The server stopped before the answer began ({reply.status}). Regenerate it.",
    }


def _accepted(accepted: Accepted) -> Response:
    body = AcceptedAnswer(accepted.client_id, accepted.message_id, accepted.answer_id, accepted.run_id)
    return answer(body, 202)


def _number(text: str) -> int | None:
    if not text.strip():
        return None  # what a browser sends before it saw an id
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        problem = "is no event's number"
        raise InvalidInput(f"Last-Event-ID {problem}.", errors=(FieldError("Last-Event-ID", problem),))
    return int(text)
