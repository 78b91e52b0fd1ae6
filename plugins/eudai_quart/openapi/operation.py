"""What a route takes and gives, said once beside it.

Every route of ours carries one of the two decorators::

    @blueprint.put("/api/projects/<id:project_id>")
    @operation(Answer(Project, headers=("ETag",)), body=ProjectChange, takes=("If-Match",))
    async def update(project_id: UUID) -> Response:
        \"\"\"Change a project.\"\"\"

What follows from that is added by itself: the parameters of the path, the log-in, the errors of all routes that need
one, or have ids in their path, or take a body. ``errors`` names only what is special to the route. The summary is the
first line of the docstring, the description is the rest of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, get_args

from eudai_core.errors import EudaiError
from eudai_core.model import Scope

__all__ = [
    "ANYTHING",
    "EVENTS",
    "JSON",
    "LOG_IN",
    "NOTHING",
    "UNCHANGED",
    "UPLOAD",
    "Answer",
    "Channel",
    "Operation",
    "channel",
    "declared",
    "kinds_of",
    "operation",
]

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
UPLOAD: Final = "multipart/form-data"
ANYTHING: Final = "*/*"
LOG_IN: Final = "log-in"
"""What a route needs that is for no API key, whatever its scopes."""
F = TypeVar("F", bound=Callable[..., Any])
_NAME: Final = "__eudai_declared__"


@dataclass(frozen=True, slots=True)
class Answer:
    """One good answer: a struct as ``body`` (None: none, or bytes), its status, media type and special headers.

    With the media type EVENTS the body is the union of the events.
    """

    body: Any = None
    status: int = 200
    headers: tuple[str, ...] = ()
    media: str | None = JSON


NOTHING: Final = Answer(status=204, media=None)
"""The answer of a route that has nothing to tell."""
UNCHANGED: Final = Answer(status=304, headers=("ETag",), media=None)
"""The answer to a client that has it already."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A route over HTTP; see :func:`operation`."""

    answers: tuple[Answer, ...]
    body: Any = None
    body_needed: bool = True
    query: Any = None
    takes: tuple[str, ...] = ()
    errors: tuple[type[EudaiError] | str, ...] = ()
    refuses: tuple[int, ...] = ()
    knows_caller: bool = False
    needs: Scope | Literal["log-in"] | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """A route over WebSocket; see :func:`channel`."""

    receives: Any
    sends: Any
    query: Any = None
    needs: Scope | None = None


def operation(
    *answers: Answer,
    body: Any = None,
    body_needed: bool = True,
    query: Any = None,
    takes: tuple[str, ...] = (),
    errors: tuple[type[EudaiError] | str, ...] = (),
    refuses: tuple[int, ...] = (),
    knows_caller: bool = False,
    needs: Scope | Literal["log-in"] | None = None,
) -> Callable[[F], F]:
    """Declare a route over HTTP.

    ``body`` is the struct of a JSON body or UPLOAD, ``query`` the struct of the query, ``takes`` are the headers that
    make a difference (see eudai_quart.openapi.headers), ``errors`` what it raises besides the usual (a code where
    there is no class), ``refuses`` the statuses of the framework that it answers. A public route that
    ``knows_caller`` tells more to who is logged in. ``needs`` is the scope that an API key must have: without it,
    ``read`` for what is safe and ``write`` for the rest (see eudai_quart.guard).
    """
    return _declare(Operation(answers, body, body_needed, query, takes, errors, refuses, knows_caller, needs))


def channel(*, receives: Any, sends: Any, query: Any = None, needs: Scope | None = None) -> Callable[[F], F]:
    """Declare a route over WebSocket: the unions of the events that come in and go out, and the query.

    ``needs`` is the scope that an API key must have: without it, ``chat``.
    """
    return _declare(Channel(receives, sends, query, needs))


def kinds_of(union: Any) -> tuple[Any, ...]:
    """Return the members of a union of events; a single kind is one."""
    return get_args(union) or (union,)


def declared(view: Callable[..., Any]) -> Operation | Channel | None:
    """Return what was declared of a route, or None: a plugin's says nothing of itself."""
    found: Operation | Channel | None = getattr(view, _NAME, None)
    return found


def _declare(declaration: Operation | Channel) -> Callable[[F], F]:
    def mark(view: F) -> F:
        setattr(view, _NAME, declaration)
        return view

    return mark
