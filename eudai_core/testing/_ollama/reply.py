"""What the scripted Ollama is told to answer: steps of a stream, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Cut", "End", "ErrorLine", "Gate", "Piece", "Raw", "Reply", "Step", "context_exceeded", "reply_from_json"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One line with text, thinking or both; an empty one is a line too, as parsers of the real server send them."""

    content: str = ""
    thinking: str = ""
    tool_calls: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes sent as they are, as one chunk: garbage, half a line, several lines, a huge one; none: the head only."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Gate:
    """Stand here until ``release(name)``. Before the first piece not even the status line is sent."""

    name: str


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """The line ``{"error": …}`` under status 200, and the end of the stream."""

    text: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks here, with a reset or (``reset`` False) by closing; as the first step, before the head."""

    reset: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """The stream ends here, well framed, without a line that says ``done``."""


Step = Piece | Raw | Gate | ErrorLine | Cut | End


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one chat request.

    With ``status`` 200 the steps are played and, unless one of them ended the stream, the line with ``done`` follows.
    With another status nothing is played: ``error`` is the text of the body, or the body is empty when it is None.
    ``pace`` is in pieces a second (None: the server's). ``done`` replaces members of the last line; one that is None
    is left out.
    """

    steps: Sequence[Step] = ()
    status: int = 200
    error: str | None = None
    pace: float | None = None
    done: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, *content: str, thinking: Sequence[str] = (), pace: float | None = None) -> Reply:
        """Answer with these pieces of thinking, then these pieces of text."""
        steps = [*(Piece(thinking=text) for text in thinking), *(Piece(content=text) for text in content)]
        return cls(steps=tuple(steps), pace=pace)

    @classmethod
    def refusing(cls, status: int, error: str | None = None) -> Reply:
        """Refuse with a status and the body that Ollama gives it."""
        return cls(status=status, error=error)

    @classmethod
    def busy(cls) -> Reply:
        """Refuse because the queue is full."""
        return cls.refusing(503, "server busy, please try again.  maximum pending requests exceeded")

    @classmethod
    def forbidden(cls) -> Reply:
        """Refuse as for a Host header that Ollama does not know: 403 with an empty body."""
        return cls.refusing(403)

    @classmethod
    def too_long(cls, tokens: int, window: int) -> Reply:
        """Refuse a prompt over the window with llama-server's error, a JSON document in a string."""
        return cls.refusing(400, context_exceeded(tokens, window))


def context_exceeded(tokens: int, window: int) -> str:
    """Return the text that llama-server gives when a prompt of ``tokens`` does not fit ``window``."""
    return (
        f'{{"error":{{"code":400,"message":"request ({tokens} tokens) exceeds the available context size '
        f'({window} tokens), try increasing it","type":"exceed_context_size_error",'
        f'"n_prompt_tokens":{tokens},"n_ctx":{window}}}}}'
    )


def reply_from_json(value: Mapping[str, Any]) -> Reply:
    """Read a reply from the control endpoint's JSON.

    ``{"steps": [{"content": …, "thinking": …}, {"gate": name}, {"raw": text}, {"error": text}, {"cut": reset},
    {"end": true}], "status": 200, "error": null, "pace": null, "done": null}``, all members optional.

    Raises:
        ValueError: a member or a step is unknown.
    """
    unknown = set(value) - {"steps", "status", "error", "pace", "done"}
    if unknown:
        raise ValueError(f"a reply has no member {min(unknown)!r}")
    members = dict(value)
    members["steps"] = tuple(_step(step) for step in value.get("steps", ()))
    return Reply(**members)


def _step(step: Mapping[str, Any]) -> Step:
    match step:
        case {"gate": str(name)}:
            return Gate(name)
        case {"raw": str(text)}:
            return Raw(text.encode())
        case {"error": str(text)}:
            return ErrorLine(text)
        case {"cut": bool(reset)}:
            return Cut(reset)
        case {"end": True}:
            return End()
        case _ if set(step) <= {"content", "thinking", "tool_calls"}:
            return Piece(**step)
    raise ValueError(f"a reply has no step {step!r}")
