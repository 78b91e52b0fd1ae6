"""What belongs to the request that is being handled: its id, who asks, and the application behind it."""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, cast

from quart import Quart, current_app, g

from eudai_core import lines
from eudai_core.model import Identity

if TYPE_CHECKING:
    from eudai_core.app import Application
    from eudai_quart.lifelines import Lifelines

__all__ = [
    "Surface",
    "application",
    "caller",
    "lifelines",
    "new_request_id",
    "request_id",
    "set_caller",
    "surface",
]

_request_id: Final[ContextVar[str]] = ContextVar("eudai_quart_request_id", default="-")


class Surface(Quart):
    """The web application. It holds the eudai application that it speaks for."""

    application: Application
    lifelines: Lifelines
    public: set[str]


def new_request_id() -> str:
    """Begin a request: return its id, which its answer and its log lines carry."""
    value = os.urandom(8).hex()
    _request_id.set(value)
    lines.begin(request=value)
    return value


def request_id() -> str:
    """Return the id of the current request, or ``-`` outside of one."""
    return _request_id.get()


def surface() -> Surface:
    """Return the web application of the current request."""
    return cast("Surface", current_app)


def application() -> Application:
    """Return the eudai application of the current request."""
    return surface().application


def lifelines() -> Lifelines:
    """Return the keeper of the long-lived connections."""
    return surface().lifelines


def set_caller(identity: Identity) -> None:
    """Remember who sent the current request."""
    g.identity = identity
    lines.add(user=identity.user_id)


def caller() -> Identity:
    """Return who sent the current request; only routes behind the guard may ask."""
    return cast("Identity", g.identity)
