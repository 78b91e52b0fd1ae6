"""Users, their sessions, and who a request comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

__all__ = [
    "ApiKey",
    "Credentials",
    "Decision",
    "Failures",
    "Identity",
    "Invite",
    "RefreshUse",
    "ResourceRef",
    "Scope",
    "Session",
    "SigningKeyRecord",
    "TokenPair",
    "User",
]


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account. ``username`` and ``email`` are unique, compared without case."""

    id: UUID
    username: str
    email: str
    created_at: datetime
    is_admin: bool = False
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in. Every token and cookie belongs to one; revoking it ends them all at once."""

    id: UUID
    user_id: UUID
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefreshUse:
    """What the spending of a refresh token found: its session, and whether it had been spent before (reuse)."""

    session_id: UUID
    reused: bool


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought. ``scheme`` is ``bearer``, ``cookie``, or ``headers`` for one that brought neither.

    Headers have lower-case names; one that came several times is one text with commas. ``peer`` is the address that
    the request came from directly, the last proxy's or the client's: whose word the headers are.
    """

    scheme: str
    value: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    peer: str | None = None


class Scope(StrEnum):
    """What an API key may do. ``chat`` includes ``read``, and ``write`` includes both; ``admin`` stands alone.

    None of them lets a key change the account, or make keys: that takes a log-in.
    """

    READ = "read"
    CHAT = "chat"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking: the same for a token, a cookie, a key, the CLI and a library user.

    ``scopes`` (of :class:`Scope`) is None for an unrestricted identity. ``session_id`` or ``key_id`` says what proves
    it; an identity without either is good as long as its user is.
    """

    user_id: UUID
    username: str
    is_admin: bool = False
    session_id: UUID | None = None
    scopes: frozenset[str] | None = None
    key_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a sign-in gives: a short-lived access token (``expires_in`` seconds) and a single-use refresh token."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    session: Session
    user: User


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """An object that somebody wants to use: its type (``project``, ``file``, …), id and owner."""

    type: str
    id: UUID | None
    owner_id: UUID | None


class Decision(StrEnum):
    """One vote on an authorisation; None, given by not answering, is an abstention."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key for scripts. ``scopes`` say what it may do; ``last_used_at`` is exact to a minute."""

    id: UUID
    user_id: UUID
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation that lets one person sign up, made by an administrator (None: from the command line)."""

    id: UUID
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime
    note: str = ""
    used_by: UUID | None = None
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SigningKeyRecord:
    """A key that signs tokens, without its secret. Tokens of it are accepted until ``retires_at`` (None: always)."""

    kid: str
    created_at: datetime
    retires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Failures:
    """How many log-ins failed in a row, and when the last one did."""

    count: int
    last_at: datetime
