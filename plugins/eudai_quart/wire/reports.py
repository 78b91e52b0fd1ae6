"""The context report of an answer (contract, section 5), as the core makes it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from eudai_core.model import SegmentKind
from eudai_quart.wire.fields import MessageId

__all__ = ["Change", "ContextReport", "LeftOut", "Origin", "Part", "Prompted", "Segment"]

Budget = Annotated[
    dict[str, int | dict[str, int]],
    Meta(
        description="Tokens: `window`, of which `reserve` is for the answer, `safety` for errors of the estimate and "
        "`prompt` for the rest; what kinds of text may take of that at most; and what they `used`.",
        examples=[{"window": 8192, "reserve": 2048, "safety": 160, "prompt": 5984, "used": {"question": 12}}],
    ),
]


class Origin(Struct):
    """Where a text comes from."""

    type: Annotated[str, Meta(description="What it is: `file`, `instruction`, `message`, …")]
    id: Annotated[str, Meta(description="Its id.")]
    name: Annotated[str, Meta(description="Its name.")]
    version: Annotated[int, Meta(description="Its version.")]
    start: Annotated[int | None, Meta(description="Where the text begins in it, in code points; null for all of it.")]
    end: Annotated[int | None, Meta(description="Where the text ends in it, in code points.")]


class Segment(Struct):
    """A part of a prompt, or one that was left out."""

    kind: Annotated[SegmentKind, Meta(description="What it is.")]
    plugin: Annotated[str, Meta(description="Who offered it.")]
    id: Annotated[str, Meta(description="What the model cites it by; empty for what is not cited.")]
    origin: Annotated[Origin, Meta(description="Where it comes from.")]
    tokens: Annotated[int, Meta(description="Its tokens, estimated.")]
    included: Annotated[bool, Meta(description="Whether it was sent.")]
    reason: Annotated[str, Meta(description="Why it was offered, or left out.")]
    score: Annotated[float | None, Meta(description="How well it fits the question.")]
    sha256: Annotated[str, Meta(description="The SHA-256 of its bytes, in hex.")]
    text: Annotated[str | None, Meta(description="What it says; null when it was erased since, or is too long.")]


class Change(Struct):
    """Why a prompt did not begin like the one before."""

    what: Annotated[str, Meta(description="What changed.")]
    by: Annotated[str, Meta(description="Who changed it.")]
    cost_tokens: Annotated[int, Meta(description="Tokens that had to be read again.")]


class LeftOut(Struct):
    """Segments that were left out and are not listed."""

    type: Annotated[str, Meta(description="What they come from.")]
    reason: Annotated[str, Meta(description="Why they were left out.")]
    count: Annotated[int, Meta(description="How many there are.")]


class Part(Struct):
    """What one plugin had to do with a prompt."""

    name: Annotated[str, Meta(description="The plugin.")]
    milliseconds: Annotated[float, Meta(description="The time that it took.")]
    tokens: Annotated[int, Meta(description="Tokens of its segments.")]
    faults: Annotated[list[str], Meta(description="What went wrong in it.")]


class Prompted(Struct):
    """A message of the prompt."""

    role: Annotated[Literal["system", "user", "assistant"], Meta(description="Who speaks.")]
    content: Annotated[str, Meta(description="What was said.")]


class ContextReport(Struct):
    """What an answer was made from."""

    message_id: MessageId
    model: Annotated[str, Meta(description="The model that was asked.")]
    budget: Budget
    estimated_prompt_tokens: Annotated[int | None, Meta(description="Tokens of the prompt, by our own count.")]
    reported_prompt_tokens: Annotated[int | None, Meta(description="Tokens of the prompt, as the backend counted.")]
    reused_prefix_tokens: Annotated[int | None, Meta(description="Leading tokens equal to the previous prompt's.")]
    changes: Annotated[list[Change], Meta(description="Why it did not begin like the previous prompt.")]
    left_out: Annotated[list[LeftOut], Meta(description="How many more segments were left out, by origin and reason.")]
    plugins: Annotated[list[Part], Meta(description="Who took part.")]
    segments: Annotated[
        list[Segment], Meta(description="The included ones in the prompt's order, then the best of those left out.")
    ]
    messages: Annotated[list[Prompted], Meta(description="The messages that were sent.")]
    exact: Annotated[
        bool, Meta(description="Whether they are byte for byte what was sent: false when a source was erased since.")
    ]
