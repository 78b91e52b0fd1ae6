"""Conversations as JSON: everything that is known of the messages, under the member names of the REST interface."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from eudai_core.contracts import PluginContext
from eudai_core.model import Conversation, Message

__all__ = ["FORMAT", "VERSION", "JsonExporter", "json_exporter"]

FORMAT: Final = "eudai-conversation"
VERSION: Final = 1


class JsonExporter:
    """The exporter ``json``; see eudai_core.contracts.Exporter. One line a message; the same input, the same bytes."""

    media_type = "application/json"
    extension = "json"

    async def export(self, conversation: Conversation, messages: AsyncIterator[Message]) -> AsyncIterator[bytes]:
        """Give ``{"format", "version", "conversation", "messages"}``, one piece a message."""
        yield (
            f'{{"format":{_line(FORMAT)},"version":{VERSION},\n"conversation":{_line(_conversation(conversation))},\n'
            '"messages":['
        ).encode()
        separator = "\n"
        async for message in messages:
            yield (separator + _line(_message(message))).encode()
            separator = ",\n"
        yield b"\n]}\n"


def json_exporter(context: PluginContext) -> JsonExporter:
    """Make the exporter."""
    return JsonExporter()


def _conversation(conversation: Conversation) -> Mapping[str, Any]:
    return {
        "id": conversation.id,
        "project_id": conversation.project_id,
        "title": conversation.title,
        "model": conversation.model,
        "active_message_id": conversation.active_message_id,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
    }


def _message(message: Message) -> Mapping[str, Any]:
    return {
        "id": message.id,
        "parent_id": message.parent_id,
        "siblings": list(message.siblings),
        "sender": message.sender.value,
        "text": message.text,
        "thinking": message.thinking,
        "status": message.status.value,
        "model": message.model,
        "usage": asdict(message.usage) if message.usage else None,
        "citations": [asdict(citation) for citation in message.citations],
        "error": message.error,
        "client_id": message.client_id,
        "timestamp": message.timestamp,
    }


def _line(value: object) -> str:
    # A lone surrogate cannot be encoded: it goes out as an escape, which JSON allows (RFC 8259, section 8.2).
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no place in the export of a conversation")
