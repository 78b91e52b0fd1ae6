"""Members that many bodies and answers share.

Their descriptions are what the OpenAPI document says. Their bounds are those of the services, whose constants they
use, and hold from the moment a body is decoded; a service checks once more for callers that are not the surface.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta

from eudai_core.chat.commands import CLIENT_ID_LENGTH
from eudai_core.chat.service import CONTENT_LENGTH
from eudai_core.services.conversations import TITLE_LENGTH
from eudai_core.services.fields import MAX_PAGE, MODEL_LENGTH
from eudai_core.services.instructions import FARTHEST, INSTRUCTION_LENGTH
from eudai_core.services.projects import DESCRIPTION_LENGTH, NAME_LENGTH

__all__ = [
    "BIGGEST",
    "FILLED",
    "LARGEST",
    "AnswerId",
    "ClientId",
    "ConversationId",
    "CreatedAt",
    "Cursor",
    "Description",
    "Id",
    "InstructionText",
    "Limit",
    "MessageId",
    "ModelName",
    "Moment",
    "Name",
    "Position",
    "ProjectId",
    "Question",
    "RunId",
    "Seq",
    "Title",
    "UpdatedAt",
    "Version",
]

BIGGEST: Final = 2**63 - 1
"""The largest number that both databases keep."""
CURSOR_LENGTH: Final = 512
FILLED: Final = r"\S"
"""The pattern of a text that must not be empty: white space alone is nothing."""
LARGEST: Final = 2**31 - 1
"""The largest number of a version that both databases keep."""

Moment = Annotated[datetime, Meta(tz=True)]
"""A time; on the wire in RFC 3339 and UTC."""

Id = Annotated[UUID, Meta(description="Its id.")]
ProjectId = Annotated[UUID, Meta(description="The project that it belongs to.")]
ConversationId = Annotated[UUID, Meta(description="The conversation that it belongs to.")]
MessageId = Annotated[UUID, Meta(description="The message's id.")]
AnswerId = Annotated[UUID, Meta(description="The id of the answer that is being made.")]
RunId = Annotated[UUID, Meta(description="The id of the run that makes the answer.")]
CreatedAt = Annotated[datetime, Meta(tz=True, description="When it was made.")]
UpdatedAt = Annotated[datetime, Meta(tz=True, description="When it was changed last.")]
Version = Annotated[int, Meta(description="The number of its newest version, from 1.")]
Seq = Annotated[int, Meta(ge=0, le=BIGGEST, description="The event's number. It rises strictly; gaps mean nothing.")]

Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH, pattern=FILLED)]
Description = Annotated[str, Meta(max_length=DESCRIPTION_LENGTH)]
Title = Annotated[str, Meta(max_length=TITLE_LENGTH)]
ModelName = Annotated[str, Meta(max_length=MODEL_LENGTH)]
InstructionText = Annotated[str, Meta(min_length=1, max_length=INSTRUCTION_LENGTH, pattern=FILLED)]
Question = Annotated[str, Meta(min_length=1, max_length=CONTENT_LENGTH, pattern=FILLED, description="The question.")]
ClientId = Annotated[str, Meta(min_length=1, max_length=CLIENT_ID_LENGTH, pattern=FILLED)]
Position = Annotated[int, Meta(ge=-FARTHEST, le=FARTHEST)]
Cursor = Annotated[str, Meta(max_length=CURSOR_LENGTH)]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="How many items at most.")]
