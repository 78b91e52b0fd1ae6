"""Conversations."""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET
from quart import Blueprint, Response

from eudai_core import model
from eudai_core.errors import FieldError, InvalidInput
from eudai_quart.conditional import entity_tag, expected_version, shown, version_of
from eudai_quart.context import application, caller
from eudai_quart.ids import parse_id
from eudai_quart.openapi.operation import NOTHING, UNCHANGED, Answer, operation
from eudai_quart.respond import answer, created, nothing
from eudai_quart.wire.answers import Items, page
from eudai_quart.wire.chats import Conversation, ConversationWithMessages
from eudai_quart.wire.decode import query, read_json
from eudai_quart.wire.requests import ConversationPatch, NewConversation, Paging

__all__ = ["blueprint"]

blueprint = Blueprint("conversations", __name__)


@blueprint.get("/api/conversations")
@operation(Answer(Items[Conversation]), query=Paging)
async def index() -> Response:
    """List the own conversations across projects."""
    return await _list(None)


@blueprint.get("/api/projects/<id:project_id>/conversations")
@operation(Answer(Items[Conversation]), query=Paging)
async def of_project(project_id: UUID) -> Response:
    """List a project's conversations."""
    return await _list(project_id)


@blueprint.post("/api/projects/<id:project_id>/conversations")
@operation(
    Answer(Conversation, 201, headers=("ETag", "Location")),
    body=NewConversation,
    body_needed=False,
    takes=("Idempotency-Key",),
)
async def create(project_id: UUID) -> Response:
    """Begin a conversation."""
    body = await read_json(NewConversation, optional=True)
    conversation = await application().conversations.create(caller(), project_id, title=body.title, model=body.model)
    told = Conversation.of(conversation)
    return created(told, conversation.id, entity_tag(told, version_of(conversation.version)))


@blueprint.get("/api/conversations/<id:conversation_id>")
@operation(Answer(ConversationWithMessages, headers=("ETag",)), UNCHANGED, query=Paging, takes=("If-None-Match",))
async def details(conversation_id: UUID) -> Response:
    """Tell a conversation with its newest messages."""
    return await _details(await application().conversations.get(caller(), conversation_id))


@blueprint.get("/api/projects/<id:project_id>/conversations/<id:conversation_id>")
@operation(Answer(ConversationWithMessages, headers=("ETag",)), UNCHANGED, query=Paging, takes=("If-None-Match",))
async def in_project(project_id: UUID, conversation_id: UUID) -> Response:
    """Tell a conversation within its project."""
    return await _details(await application().conversations.get(caller(), conversation_id, project_id=project_id))


@blueprint.patch("/api/conversations/<id:conversation_id>")
@operation(Answer(Conversation, headers=("ETag",)), body=ConversationPatch, takes=("If-Match",))
async def update(conversation_id: UUID) -> Response:
    """Rename a conversation, choose its model, or show another branch."""
    body = await read_json(ConversationPatch)
    conversation = await application().conversations.update(
        caller(),
        conversation_id,
        title=None if body.title is UNSET else body.title,
        model=None if body.model is UNSET else body.model or "",
        active_message_id=None if body.active_message_id is UNSET else body.active_message_id,
        expected_version=expected_version(),
    )
    told = Conversation.of(conversation)
    return answer(told, 200, entity_tag(told, version_of(conversation.version)))


@blueprint.delete("/api/conversations/<id:conversation_id>")
@operation(NOTHING, takes=("If-Match",))
async def delete(conversation_id: UUID) -> Response:
    """Delete a conversation; its sockets are closed."""
    await application().conversations.delete(caller(), conversation_id, expected_version=expected_version())
    return nothing()


async def _list(project_id: UUID | None) -> Response:
    paging = query(Paging)
    found = await application().conversations.list(
        caller(), project_id=project_id, cursor=paging.cursor, limit=paging.limit
    )
    return answer(page(found, Conversation.of))


async def _details(conversation: model.Conversation) -> Response:
    paging = query(Paging)
    before = None if paging.cursor is None else parse_id(paging.cursor)
    if paging.cursor is not None and before is None:
        problem = "is no cursor of this list"
        raise InvalidInput(f"cursor {problem}.", errors=(FieldError("$.cursor", problem),))
    messages, older = await application().conversations.messages(
        caller(), conversation, before=before, limit=paging.limit
    )
    body = ConversationWithMessages.build(conversation, messages, older)
    return shown(body, version_of(conversation.version))
