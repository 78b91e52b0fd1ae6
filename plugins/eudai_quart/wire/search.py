"""What is searched for, and what is found."""

from __future__ import annotations

from typing import Annotated, Final, Literal, cast
from uuid import UUID

from msgspec import Meta, Struct

from eudai_core import model as core
from eudai_core.services.search import QUESTION_LENGTH
from eudai_quart.wire.fields import FILLED, Cursor, Id, Limit, Moment, ProjectId
from eudai_quart.wire.requests import Strict

__all__ = ["Highlight", "SearchResult", "Searching"]

TYPE_LENGTH: Final = 64


class Searching(Strict, frozen=True):
    """The query of a search."""

    q: Annotated[
        str,
        Meta(
            min_length=1, max_length=QUESTION_LENGTH, pattern=FILLED, description="The words to look for, in any order."
        ),
    ]
    type: Annotated[
        str,
        Meta(max_length=TYPE_LENGTH, description="What to look for: `message`, `file`, `url`, or several with commas."),
    ] = "message,file,url"
    project_id: Annotated[UUID | None, Meta(description="Only in this project; without it, in all of one's own.")] = (
        None
    )
    limit: Limit = 50
    cursor: Annotated[Cursor | None, Meta(description="The `next` of the page before; without it, the first page.")] = (
        None
    )


class Highlight(Struct):
    """A stretch of a snippet that was looked for."""

    start: Annotated[int, Meta(description="The code point of the snippet that it begins at.")]
    end: Annotated[int, Meta(description="The code point that it ends before.")]


class SearchResult(Struct):
    """A message, a file or a page that was found."""

    type: Annotated[Literal["message", "file", "url"], Meta(description="What it is.")]
    id: Id
    project_id: ProjectId
    conversation_id: Annotated[UUID | None, Meta(description="The conversation of a message; null for others.")]
    name: Annotated[str, Meta(description="The title of the conversation or the page, or the name of the file.")]
    snippet: Annotated[str, Meta(description="The stretch of its text that shows best why it was found.")]
    highlights: Annotated[list[Highlight], Meta(description="Where in the snippet the words stand, in order.")]
    score: Annotated[float, Meta(description="How well it matches; comparable within one list only.")]
    timestamp: Annotated[
        Moment, Meta(description="When the message was written, the file uploaded, or the page fetched.")
    ]

    @classmethod
    def of(cls, result: core.SearchResult) -> SearchResult:
        """Convert."""
        return cls(
            type=cast('Literal["message", "file", "url"]', result.type),
            id=result.id,
            project_id=result.project_id,
            conversation_id=result.conversation_id,
            name=result.name,
            snippet=result.snippet.text,
            highlights=[Highlight(one.start, one.end) for one in result.snippet.highlights],
            score=result.score,
            timestamp=result.timestamp,
        )
